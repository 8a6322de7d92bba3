-- What the MelNet scripts compute without REAPER: bars of a time selection, command lines, answers.

local pure = {}

-- A hair's breadth before a bar line still belongs to the bar that begins there, in beats.
local NEAR = 1e-3

-- The bars that a selection touches, first and last, counted from 1. Its ends are bars counted from 0, as REAPER's
-- TimeMap2_timeToBeats gives them, with the beats after their line and the beats that the bar has.
-- nil and why: it is empty.
function pure.bars_of(start_bar, start_beat, start_beats, stop_bar, stop_beat)
  if start_beat > start_beats - NEAR then
    start_bar = start_bar + 1
  end
  if stop_beat < NEAR then
    stop_bar = stop_bar - 1
  end
  if stop_bar < start_bar then
    return nil, "select at least a part of a bar"
  end
  if start_bar < 0 then
    return nil, "the selection begins before bar 1"
  end
  return start_bar + 1, stop_bar + 1
end

-- One argument of a command line.
function pure.quoted(text, windows)
  text = tostring(text)
  if windows then
    return '"' .. text:gsub('"', '\\"') .. '"'
  end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The command line that runs melnet_job.py: {python, script, host, port, answers, words}.
function pure.command_line(job, windows)
  local words = { job.python, job.script, job.host, job.port, job.answers }
  for _, word in ipairs(job.words) do
    words[#words + 1] = word
  end
  for index, word in ipairs(words) do
    words[index] = pure.quoted(word, windows)
  end
  return table.concat(words, " ")
end

-- The words of a repainting: bars counted from 1, and keys with values in order.
function pure.repaint_words(from_bar, to_bar, keys)
  local words = { "inpaint", "from_bar", string.format("%d", from_bar), "to_bar", string.format("%d", to_bar) }
  for _, word in ipairs(keys or {}) do
    words[#words + 1] = tostring(word)
  end
  return words
end

-- What melnet_job.py wrote: answer -> {name -> text}; nil while it is not over.
-- A line is ANSWER, NAME and VALUE with tabs between them, the last one "over".
function pure.answers_of(text)
  local answers, over = {}, false
  for line in text:gmatch("[^\r\n]+") do
    if line == "over" then
      over = true
    end
    local answer, name, value = line:match("^([^\t]*)\t([^\t]*)\t(.*)$")
    if answer then
      answers[answer] = answers[answer] or {}
      answers[answer][name] = value
    end
  end
  if over then
    return answers
  end
  return nil
end

-- What to tell the player of answers: file and name of the new track; or nil and why there is none.
function pure.outcome(answers)
  if answers.fail then
    return nil, (answers.fail.message or "the daemon refused") .. " (" .. (answers.fail.code or "?") .. ")"
  end
  local finished = answers.finished
  if not finished or (finished.file or "") == "" then
    return nil, "the take could not be written; the daemon's log says why"
  end
  return finished.file, string.format("MelNet take %s, seed %s", finished.take, finished.seed)
end

return pure
