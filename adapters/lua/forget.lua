-- Removes a REPL.   ARGV: now, replId
if not isKnown() then return { 'unknown' } end
redis.call('ZREM', repls, ARGV[2])
redis.call('HDEL', index, 'record:' .. ARGV[2], 'session:' .. ARGV[2], 'note:' .. ARGV[2], 'unsaved:' .. ARGV[2])
changed()
return { 'ok' }
