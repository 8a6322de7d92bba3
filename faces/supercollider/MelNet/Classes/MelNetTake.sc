// A take in the making.
MelNetTake {
	var melNet, <command, <id;
	var <accepted, <started, <progress, <finished, <failure; // named values of the answers; nil before them
	var <warnings, <handed;
	var <>onAccepted, <>onStarted, <>onProgress, <>onFinished, <>onFailed;
	var over;

	*new { |melNet, command, id|
		^super.newCopyArgs(melNet, command, id).init
	}

	init {
		warnings = [];
		handed = [];
		over = Condition.new;
	}

	isOver { ^over.test }

	file { ^finished !? { finished[\file].asString } }

	cancel { melNet.command(\cancel, [id]) }

	// In a Routine: waits until it is over and returns the values of `finished`; throws MelNetError.
	wait {
		over.wait;
		failure !? { failure.throw };
		^finished
	}

	prHear { |answer, values|
		var named = MelNet.named(values);
		switch(answer,
			\done, { accepted = named; onAccepted.value(this, named) },
			\started, { started = named; onStarted.value(this, named) },
			\progress, { progress = named; onProgress.value(this, named) },
			\handed, { handed = handed.add(named) },
			\warning, { warnings = warnings.add(values[0].asString) },
			\finished, {
				finished = named;
				over.test = true;
				onFinished.value(this, named);
				over.signal;
			},
			\fail, {
				failure = MelNetError(command, values[0], values[1].asString);
				over.test = true;
				if(onFailed.notNil) { onFailed.value(this, failure) } { failure.errorString.warn };
				over.signal;
			}
		);
	}
}
