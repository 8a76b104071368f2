-- All of a user's REPLs, and which state of the index that is. Nothing is changed, so it comes without index.lua.
-- KEYS: userRepls, index of the same slot
local epoch, version, count = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'version', 'count'))
if not count or tonumber(count) ~= redis.call('ZCARD', KEYS[1]) then return { 'unknown' } end
return { 'ok', epoch, version, redis.call('HGETALL', KEYS[2]) }
