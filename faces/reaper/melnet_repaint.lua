-- MelNet: repaint the bars of the time selection, and import the take on a new track at its place.
-- The daemon's bars must be REAPER's: see README.md.

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or "./"
local pure = dofile(folder .. "melnet_pure.lua")

local windows = reaper.GetOS():match("^Win") ~= nil
local function setting(name, default)
  local value = reaper.GetExtState("melnet", name)
  return value ~= "" and value or default
end

local function say(text)
  reaper.ShowMessageBox(text, "MelNet", 0)
end

local start, stop = reaper.GetSet_LoopTimeRange(false, false, 0, 0, false)
if start == stop then
  return say("Make a time selection over the bars to repaint.")
end

local start_beat, start_bar, start_beats = reaper.TimeMap2_timeToBeats(0, start)
local stop_beat, stop_bar = reaper.TimeMap2_timeToBeats(0, stop)
local from_bar, to_bar = pure.bars_of(start_bar, start_beat, start_beats, stop_bar, stop_beat)
if not from_bar then
  return say(to_bar)
end

local answers_file = os.tmpname()
local job = {
  python = setting("python", windows and "python" or "python3"),
  script = folder .. "melnet_job.py",
  host = setting("host", "127.0.0.1"),
  port = setting("port", "9100"),
  answers = answers_file,
  words = pure.repaint_words(from_bar, to_bar),
}
local line = pure.command_line(job, windows)
if windows then
  reaper.ExecProcess(line, -1) -- without waiting: REAPER plays on
else
  os.execute(line .. " >/dev/null 2>&1 &")
end

local function import(file, name)
  reaper.Undo_BeginBlock()
  reaper.PreventUIRefresh(1)
  local index = reaper.CountTracks(0)
  reaper.InsertTrackAtIndex(index, true)
  local track = reaper.GetTrack(0, index)
  reaper.GetSetMediaTrackInfo_String(track, "P_NAME", name, true)
  local item = reaper.AddMediaItemToTrack(track)
  local take = reaper.AddTakeToMediaItem(item)
  local source = reaper.PCM_Source_CreateFromFile(file)
  reaper.SetMediaItemTake_Source(take, source)
  reaper.SetMediaItemInfo_Value(item, "D_POSITION", reaper.TimeMap2_beatsToTime(0, 0, from_bar - 1))
  reaper.SetMediaItemInfo_Value(item, "D_LENGTH", (reaper.GetMediaSourceLength(source)))
  reaper.PreventUIRefresh(-1)
  reaper.UpdateArrange()
  reaper.Undo_EndBlock("MelNet: repaint bars " .. from_bar .. " to " .. to_bar, -1)
end

local began = reaper.time_precise()
local function look()
  local file = io.open(answers_file, "r")
  local text = file and file:read("a") or ""
  if file then
    file:close()
  end
  local answers = pure.answers_of(text)
  if answers then
    os.remove(answers_file)
    local take, told = pure.outcome(answers)
    if take then
      import(take, told)
    else
      say(told)
    end
  elseif text == "" and reaper.time_precise() - began > 30 then
    os.remove(answers_file)
    say("melnet_job.py did not start. Is Python at '" .. job.python .. "', with melnet_music_client installed?")
  else
    reaper.defer(look)
  end
end
look()
