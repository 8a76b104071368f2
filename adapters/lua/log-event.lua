-- Keeps an event in the REPL's log and tells whoever listens now.   KEYS: eventLog   ARGV: event as JSON, channel, kept, ttl in seconds
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'event', ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[2], '{"id":"' .. id .. '",' .. string.sub(ARGV[1], 2))
return id
