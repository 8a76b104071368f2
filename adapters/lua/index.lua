-- Every script but read.lua begins with history.lua and this. KEYS: userRepls, index of the same slot   ARGV[1]: now in ms
-- index: count, history, epoch, version, and for each REPL record:<id>, note:<id>, unsaved:<id>, session:<id> = "sessionId|until in ms|json"
local repls, index, now = KEYS[1], KEYS[2], tonumber(ARGV[1])

-- False after a flush, also of one of the two keys, and when the server came back with what it knew earlier. Whoever
-- meets that fills them from the truth and asks again; so also what somebody else filled in from older knowledge is
-- corrected by the write that follows.
local function isKnown()
  local count, filledIn = unpack(redis.call('HMGET', index, 'count', 'history'))
  return count and tonumber(count) == redis.call('ZCARD', repls) and filledIn == history()
end

local function changed()
  redis.call('HSET', index, 'count', redis.call('ZCARD', repls))
  redis.call('HINCRBY', index, 'version', 1)
end

local function sessionOf(id)
  local text = redis.call('HGET', index, 'session:' .. id)
  if not text then return nil end
  local session, expires = text:match('^([^|]*)|(%d+)|')
  if tonumber(expires) < now then return nil end
  return session
end

local function setOrClear(field, text)
  if text == '' then redis.call('HDEL', index, field) else redis.call('HSET', index, field, text) end
end
