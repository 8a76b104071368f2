-- All of a user's REPLs, or nothing new when the asker has this version.   ARGV: now, version
if not isKnown() then return { 'unknown' } end
local head = redis.call('HMGET', index, 'epoch', 'version')
local version = head[1] .. ':' .. head[2]
if version == ARGV[2] then return { 'same' } end
return { 'ok', version, redis.call('HGETALL', index) }
