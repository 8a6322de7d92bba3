// A connection to a melnet-music daemon. Commands, their keys, answers and error codes are those of the daemon's OSC
// reference, by the same names.
MelNet {
	classvar nextId = 1; // of all connections: they send from one port, to which job ids belong
	classvar <queries;

	var <addr;
	var <>latency; // seconds; nil: a command is sent at once, else as a bundle that is carried out that much later
	var <>timeout = 60; // seconds that `ask` waits: long enough for a daemon that still loads its preset
	var takes, waiting, replies, listeners, renewing, responders;

	*initClass {
		queries = #[\status, \transport, \get, \presets, \version, 'take/list', 'midi/map'];
	}

	*new { |host = "127.0.0.1", port = 9100|
		^super.new.init(NetAddr(host, port))
	}

	init { |address|
		addr = address;
		takes = IdentityDictionary.new;
		waiting = IdentityDictionary.new;
		replies = IdentityDictionary.new;
		listeners = [];
		responders = [\done, \started, \progress, \handed, \finished, \warning, \fail].collect { |answer|
			this.prRespond(answer) { |values| this.prHear(answer, values) }
		} ++ queries.collect { |query|
			this.prRespond(query ++ ".reply") { |values| this.prReply(query, values) }
		} ++ [
			this.prRespond(\pong) { this.prResolve(\ping, ()) },
			this.prRespond(\synced) { |values| this.prResolve(\sync, (id: values[0])) },
			this.prRespond(\event) { |values| listeners.do { |each| each.value(values[0], values[1..]) } }
		];
	}

	free {
		renewing.stop;
		responders.do(_.free);
	}

	// --- takes -------------------------------------------------------------------------------------------

	continue { |... keys| ^this.job(\continue, keys) }
	generate { |... keys| ^this.job(\generate, keys) }
	inpaint { |... keys| ^this.job(\inpaint, keys) }
	reroll { |... keys| ^this.job('take/reroll', keys) }
	render { |... keys| ^this.job('take/render', keys) }

	job { |command, keys|
		var take = MelNetTake(this, command.asSymbol, nextId);
		takes[nextId] = take;
		nextId = nextId + 1;
		this.send(command, [take.id] ++ keys);
		^take
	}

	// --- everything else ---------------------------------------------------------------------------------

	prime { |path, action, failed| this.command('prime/file', [path.asString], action, failed) }
	listen { |action, failed| this.command('listen/start', [], action, failed) }
	stopListening { |action, failed| this.command('listen/stop', [], action, failed) }
	set { |name, value| this.command(\set, [name, value]) }
	get { |name, action| this.command(\get, [name], { |answer| action.value(answer[name.asSymbol]) }) }
	status { |action| this.command(\status, [], action) }
	panic { this.command(\panic, []) }

	// action: given the answer's named values; of take/list and midi/map an array of them.
	// failed: given code and message; without it, they are posted.
	command { |name, values, action, failed|
		name = name.asSymbol;
		waiting[name] = waiting[name].add([action, failed]);
		this.send(name, values);
	}

	// In a Routine: waits for the answer and returns it; throws MelNetError.
	ask { |name ... values|
		var done = Condition.new, answer, error, given = false;
		var end = { given = true; done.test = true; done.signal };
		this.command(name, values, { |values| answer = values; end.value }, { |code, message|
			error = MelNetError(name, code, message);
			end.value;
		});
		SystemClock.sched(timeout) {
			if(given.not) {
				error = MelNetError(name, \no_answer,
					"no answer from %:% within % s; start the daemon with: melnet-music serve"
					.format(addr.hostname, addr.port, timeout));
				end.value;
			};
			nil
		};
		done.wait;
		error !? { error.throw };
		^answer
	}

	send { |name, values|
		var message = ["/melnet/" ++ name] ++ (values ? []).collect { |each| if(each.isKindOf(Boolean)) { each.binaryValue } { each } };
		if(latency.isNil) { addr.sendMsg(*message) } { addr.sendBundle(latency, message) };
	}

	// listener: given an event's name and its values, of everybody's jobs, properties, clock, sound device.
	subscribe { |listener, lease = 60|
		listeners = listeners.add(listener);
		renewing ?? {
			renewing = Routine {
				loop {
					this.command(\subscribe, [\lease, lease]);
					(lease / 2).wait;
				}
			}.play(SystemClock);
		};
	}

	unsubscribe {
		renewing.stop;
		renewing = nil;
		listeners = [];
		this.command(\unsubscribe, []);
	}

	// --- answers -----------------------------------------------------------------------------------------

	prRespond { |answer, function|
		^OSCFunc({ |message| function.value(message[1..]) }, "/melnet/" ++ answer, addr).permanent_(true)
	}

	prHear { |answer, values|
		var command = values[0], id = values[1], rest = values[2..];
		var take = takes[id];
		case
		{ take.notNil and: { take.command == command } } {
			take.prHear(answer, rest);
			if(take.isOver) { takes.removeAt(id) };
		}
		{ answer == \done } { this.prResolve(command, this.class.named(rest)) }
		{ answer == \fail } { this.prFail(command, rest[0], rest[1]) }
		{ answer == \warning } { "MelNet: %: %".format(command, rest[0]).warn };
	}

	prReply { |query, values|
		if(#['take/list', 'midi/map'].includes(query)) {
			replies[query] = replies[query].add(this.class.named(values));
		} {
			this.prResolve(query, if(query == \version) { (version: values[0]) } { this.class.named(values) });
		}
	}

	prResolve { |command, answer|
		var asked = this.prNext(command);
		if(#['take/list', 'midi/map'].includes(command)) { answer = replies.removeAt(command) ? [] };
		asked !? { asked[0].value(answer) };
	}

	prFail { |command, code, message|
		var asked = this.prNext(command);
		if(asked.notNil and: { asked[1].notNil }) {
			asked[1].value(code, message.asString);
		} {
			"MelNet: %: % (%)".format(command, message, code).warn;
		}
	}

	// Commands of one name are answered in the order in which they were sent.
	prNext { |command|
		^if(waiting[command].notNil and: { waiting[command].notEmpty }) { waiting[command].removeAt(0) }
	}

	*named { |values|
		var answer = ();
		values.pairsDo { |key, value| answer[key.asSymbol] = value };
		^answer
	}
}

MelNetError : Error {
	var <command, <code, <message;

	*new { |command, code, message|
		^super.new("MelNet: %: % (%)".format(command, message, code)).initMelNet(command, code, message)
	}

	initMelNet { |aCommand, aCode, aMessage|
		command = aCommand;
		code = aCode;
		message = aMessage;
	}
}
