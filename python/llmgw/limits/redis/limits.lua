-- The limits of all machines. Each call is one atomic step on the server, with the server's clock.
--
-- KEYS[1]  {llmgw}:epoch    when this data began (µs); another one than before: the server has lost its data
--          (renew only: KEYS[3] {llmgw}:server, the process that this epoch is of)
-- KEYS[2]  {llmgw}:leases   sorted set: key of a grant → when its lease ends (µs)
-- a grant  {llmgw}:grant:…  hash: key of a hold → amount. What one request holds.
-- a rate   {llmgw}:rpm:…    "AT AHEAD REFUNDED BORN": at AT µs the theoretical arrival time was AHEAD ps ahead
--          of the clock; since BORN µs, when the rate was empty, REFUNDED µs were given back
-- a hold   {llmgw}:budget:… hash: held (the sum of all grants), base (what the database has counted)
--
-- Every number is an integer below 2^53, exact in Lua's doubles: times in µs since 1970, rates in ps (an hour
-- is 3.6e15). A rate is kept relative to the time of its last change, so that a clock that is set back stops
-- it for no longer than it would have taken anyway. Of what a request has taken too much of a rate, only that
-- is given back that has not drained since: see rust/limits/src/rate.rs for the rule and its proof.
local PERIOD_PS = 60e12
local US_PS = 1e6
local MS_PS = 1e9
local KEPT_MS = 90000000 -- 25 h, longer than any request; renewed with the lease
local MAX_SWEPT = 64     -- leases that one call gives back
local REFUNDED_END = 2 ^ 52

local op = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function whole(number)
  return string.format('%.0f', number)
end

local function since(at)
  return math.max(0, now - at) * US_PS
end

local function change_hold(key, difference)
  if difference ~= 0 and redis.call('HINCRBY', key, 'held', whole(difference)) <= 0 then
    redis.call('HDEL', key, 'held')
  end
end

local function each_pair(flat, visit)
  for at = 1, #flat, 2 do
    visit(flat[at], tonumber(flat[at + 1]))
  end
end

local function release(grant)
  each_pair(redis.call('HGETALL', grant), function(key, amount) change_hold(key, -amount) end)
  redis.call('DEL', grant)
  redis.call('ZREM', KEYS[2], grant)
end

local function sweep()
  local ended = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', whole(now), 'LIMIT', 0, MAX_SWEPT)
  for _, grant in ipairs(ended) do
    release(grant)
  end
end

local function lease(grant, lease_us)
  redis.call('ZADD', KEYS[2], whole(now + lease_us), grant)
  redis.call('PEXPIRE', grant, KEPT_MS)
  redis.call('PEXPIRE', KEYS[2], KEPT_MS)
end

local function epoch()
  local value = redis.call('GET', KEYS[1])
  if not value then
    value = whole(now)
    redis.call('SET', KEYS[1], value, 'PX', KEPT_MS)
  end
  return tonumber(value)
end

local function read_rate(key)
  local at, ahead, refunded, born = string.match(redis.call('GET', key) or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local left = at and math.max(0, ahead - since(tonumber(at))) or 0
  if left == 0 or tonumber(refunded) > REFUNDED_END then
    refunded, born = 0, now
  end
  return {ahead = left, refunded = tonumber(refunded), born = tonumber(born)}
end

local function write_rate(key, rate)
  if rate.ahead > 0 then
    local value = string.format('%.0f %.0f %.0f %.0f', now, rate.ahead, rate.refunded, rate.born)
    redis.call('SET', key, value, 'PX', whole(math.ceil(rate.ahead / MS_PS) + 1))
  else
    redis.call('DEL', key)
  end
end

-- KEYS[3] the grant, then the rates, then the holds.
-- ARGV: the epoch that the caller knows or 0, until when it waits (µs) or 0, the lease (µs), the number of
--       rates; of each rate its cost (ps); of each hold its amount, its limit, the base that the caller knows,
--       how long it is kept (ms)
-- → {1 granted | 0 refused | -1 another epoch | -2 too late, now, epoch, of each rate AHEAD, REFUNDED and BORN,
--    of each hold base and held}. Unless it is granted, nothing has changed.
local function reserve()
  local known, until_us = tonumber(ARGV[2]), tonumber(ARGV[3])
  local lease_us, rates = tonumber(ARGV[4]), tonumber(ARGV[5])
  local begun = epoch()
  if known ~= 0 and known ~= begun then
    return {-1, now, begun}
  end
  if until_us ~= 0 and now > until_us then
    return {-2, now, begun} -- the server was stopped: nobody waits for this any more
  end
  sweep()
  local read, uses, granted = {}, {}, true
  for rate = 1, rates do
    read[rate] = read_rate(KEYS[3 + rate])
    granted = granted and read[rate].ahead + ARGV[5 + rate] <= PERIOD_PS
  end
  local holds = #KEYS - 3 - rates
  for hold = 1, holds do
    local at = 5 + rates + 4 * (hold - 1)
    local kept = redis.call('HMGET', KEYS[3 + rates + hold], 'base', 'held')
    local base = math.max(tonumber(kept[1] or 0), tonumber(ARGV[at + 3]))
    local use = {base = base, held = tonumber(kept[2] or 0), amount = tonumber(ARGV[at + 1])}
    local left = ARGV[at + 2] - base
    granted = granted and left >= 0 and use.amount <= left - use.held
    uses[hold] = use
  end
  if granted then
    for rate = 1, rates do
      read[rate].ahead = read[rate].ahead + ARGV[5 + rate]
      write_rate(KEYS[3 + rate], read[rate])
    end
    for hold, use in ipairs(uses) do
      local key = KEYS[3 + rates + hold]
      if use.base > 0 then
        redis.call('HSET', key, 'base', whole(use.base))
      end
      change_hold(key, use.amount)
      use.held = use.held + use.amount
      redis.call('PEXPIRE', key, ARGV[5 + rates + 4 * hold])
      redis.call('HSET', KEYS[3], key, whole(use.amount))
    end
    if holds > 0 then
      lease(KEYS[3], lease_us)
    end
  end
  local reply = {granted and 1 or 0, now, begun}
  for _, rate in ipairs(read) do
    reply[#reply + 1] = rate.ahead
    reply[#reply + 1] = rate.refunded
    reply[#reply + 1] = rate.born
  end
  for _, use in ipairs(uses) do
    reply[#reply + 1] = use.base
    reply[#reply + 1] = use.held
  end
  return reply
end

-- What a request holds from now on, whatever it held before, so that a call may be repeated; and what its
-- rates were wrong by, which may not.
-- KEYS[3] the grant, then rates, then holds. ARGV: the lease (µs), the number of rates; of each rate the
-- difference (ps), up to where a positive one may put it (ps), and AT, AHEAD, REFUNDED, BORN as they were just
-- after the reservation; of each hold its amount and how long it is kept (ms).
local function put()
  local lease_us, rates = tonumber(ARGV[2]), tonumber(ARGV[3])
  for rate = 1, rates do
    local at = 3 + 6 * (rate - 1)
    local difference, rate_now = tonumber(ARGV[at + 1]), read_rate(KEYS[3 + rate])
    if difference > 0 then
      local raised = math.min(rate_now.ahead + difference, tonumber(ARGV[at + 2]))
      rate_now.ahead = math.max(rate_now.ahead, raised)
    elseif rate_now.born == tonumber(ARGV[at + 6]) then
      local refunded_since = (rate_now.refunded - ARGV[at + 5]) * US_PS
      local left = math.max(0, ARGV[at + 4] - since(tonumber(ARGV[at + 3])) - refunded_since)
      local back = math.min(-difference, left, rate_now.ahead)
      rate_now.ahead = rate_now.ahead - back
      rate_now.refunded = rate_now.refunded + math.ceil(back / US_PS)
    end
    write_rate(KEYS[3 + rate], rate_now)
  end
  local before, after = {}, {}
  each_pair(redis.call('HGETALL', KEYS[3]), function(key, amount) before[key] = amount end)
  local holds = #KEYS - 3 - rates
  for hold = 1, holds do
    local key, at = KEYS[3 + rates + hold], 3 + 6 * rates + 2 * (hold - 1)
    after[key] = tonumber(ARGV[at + 1])
    change_hold(key, after[key] - (before[key] or 0))
    redis.call('PEXPIRE', key, ARGV[at + 2])
    redis.call('HSET', KEYS[3], key, whole(after[key]))
  end
  for key, amount in pairs(before) do
    if not after[key] then
      change_hold(key, -amount)
      redis.call('HDEL', KEYS[3], key)
    end
  end
  if holds > 0 then
    lease(KEYS[3], lease_us)
  else
    release(KEYS[3])
  end
  return {now}
end

-- The database has counted: what it says of budgets, and the grants that are in it, at once, so that nothing
-- counts twice or not at all in between.
-- KEYS[3…] budgets, then grants. ARGV: the number of budgets; of each its least base and how long it is kept (ms)
local function store()
  local budgets = tonumber(ARGV[2])
  for budget = 1, budgets do
    local key, at = KEYS[2 + budget], 1 + 2 * budget
    if tonumber(redis.call('HGET', key, 'base') or 0) < tonumber(ARGV[at]) then
      redis.call('HSET', key, 'base', ARGV[at])
    end
    redis.call('PEXPIRE', key, ARGV[at + 1])
  end
  for grant = 3 + budgets, #KEYS do
    release(KEYS[grant])
  end
  return {now}
end

-- Another process than before has the data: a replica that was promoted, a restart from a file, a slot that has
-- moved. Nobody knows which last writes it lacks, so that counts as lost data.
local function check_server()
  local here = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  local known = redis.call('GET', KEYS[3])
  if known and known ~= here then
    redis.call('DEL', KEYS[1])
  end
  redis.call('SET', KEYS[3], here, 'PX', KEPT_MS)
end

-- KEYS[4…] grants. ARGV: the lease (µs). → {now, epoch, the places in KEYS[4…] of those that are not known}
local function renew()
  check_server()
  sweep()
  local reply = {now, epoch()}
  -- Written, so that a server without memory, or one that may not be written to, says so.
  redis.call('SET', KEYS[1], whole(reply[2]), 'PX', KEPT_MS)
  for grant = 4, #KEYS do
    if redis.call('EXISTS', KEYS[grant]) == 1 then
      lease(KEYS[grant], tonumber(ARGV[2]))
    else
      reply[#reply + 1] = grant - 3
    end
  end
  return reply
end

-- KEYS[3…] rates, then holds. ARGV: the number of rates. → {of each rate AHEAD, of each hold held}. Changes nothing.
local function look()
  local rates, reply = tonumber(ARGV[2]), {}
  for at = 3, #KEYS do
    if at - 2 <= rates then
      reply[at - 2] = read_rate(KEYS[at]).ahead
    else
      reply[at - 2] = tonumber(redis.call('HGET', KEYS[at], 'held') or 0)
    end
  end
  return reply
end

return ({reserve = reserve, put = put, store = store, renew = renew, look = look})[op]()
