-- All of a user's REPLs, or nothing new when the asker has this version. It is asked with every look-up, so it comes
-- without index.lua, whose isKnown is asked here only when something has changed.
-- KEYS: userRepls, index of the same slot   ARGV: version
local epoch, version, count = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'version', 'count'))
local current = epoch and epoch .. ':' .. version
if current == ARGV[1] then return 'same' end
if not count or tonumber(count) ~= redis.call('ZCARD', KEYS[1]) then return { 'unknown' } end
return { 'ok', current, redis.call('HGETALL', KEYS[2]) }
