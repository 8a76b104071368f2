-- Lets a session live on, while it is the REPL's, and notes what its checkpoints know.
-- ARGV: now, replId, sessionId, until, unsaved or '', record or ''
if not isKnown() then return { 'unknown' } end
if sessionOf(ARGV[2]) ~= ARGV[3] then return { 'other' } end
local text = redis.call('HGET', index, 'session:' .. ARGV[2])
redis.call('HSET', index, 'session:' .. ARGV[2], (text:gsub('|%d+|', '|' .. ARGV[4] .. '|', 1)))
local function isNews(field, text)
  if (redis.call('HGET', index, field) or '') == text then return false end
  setOrClear(field, text)
  return true
end
local isUnsavedNews = isNews('unsaved:' .. ARGV[2], ARGV[5])
local isRecordNews = ARGV[6] ~= '' and isNews('record:' .. ARGV[2], ARGV[6])
if isUnsavedNews or isRecordNews then changed() end
return { 'ok' }
