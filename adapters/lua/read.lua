-- All of a user's REPLs, and which state of the index that is. Nothing is changed, so of what others begin with it has
-- history.lua alone. KEYS: userRepls, index of the same slot
local epoch, version, count, filledIn = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'version', 'count', 'history'))
if not count or tonumber(count) ~= redis.call('ZCARD', KEYS[1]) or filledIn ~= history() then return { 'unknown' } end
return { 'ok', epoch, version, redis.call('HGETALL', KEYS[2]) }
