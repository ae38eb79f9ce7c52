-- Health of every kind of the group pawl.dev. All of them follow kstatus: status.observedGeneration, and the conditions
-- Ready, Reconciling (stands only while Pawl works by itself) and Stalled (stands only while a person must act).
-- Two states are told apart that kstatus calls InProgress: Suspended, which waits for a person or an hour, and Degraded
-- for Pods that run what they should not.

local tables = { ImageRules = true, ClusterImageRules = true }

-- Reasons of Ready for which nothing goes on before somebody says so, or a window opens.
local waits = { Suspended = true, Paused = true, WindowClosed = true, ApprovalRequired = true }

-- Conditions that say nothing worth a line while they are True. Every other one does.
local quiet = {
  Ready = true, Bootstrapped = true, ScanComplete = true,
  Accepted = true, Preflight = true, Prepulled = true, RolledOut = true, Verified = true,
  Serving = true, Writable = true, NameResolved = true, Reachable = true, Trusted = true, APIAnswers = true,
  Authenticated = true, PushProved = true, PullProved = true, CredentialsSpread = true, Migrated = true, Collected = true
}

-- But for these reasons: a time runs out, or a plan is to be read.
local loud = { Holding = true, DryRun = true }

-- Conditions that are good news while they are False.
local adverse = { Pressure = true }

local function is(condition, status)
  return condition ~= nil and condition.status == status
end

local function told(condition)
  if condition.type == "Ready" then
    return false
  end
  if condition.status == "True" then
    return not quiet[condition.type] or loud[condition.reason] == true
  end
  return condition.status == "False" and not adverse[condition.type]
end

local function text(condition)
  return condition.message or condition.reason or ""
end

local function explained(ready, conditions)
  local message = text(ready)
  for _, condition in ipairs(conditions) do
    if told(condition) and text(condition) ~= text(ready) then
      message = message .. "; " .. condition.type .. ": " .. text(condition)
    end
  end
  return message
end

local function health(status, message)
  return { status = status, message = message }
end

if tables[obj.kind] then
  return health("Healthy", "")
end
if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted")
end
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for Pawl to see the newest spec")
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end

if is(found.Reconciling, "True") then
  return health("Progressing", text(found.Reconciling))
end
if is(found.Stalled, "True") then
  return health("Degraded", text(found.Stalled))
end
if found.Ready == nil then
  return health("Progressing", "Waiting for Pawl to see the newest spec")
end
if waits[found.Ready.reason] then
  return health("Suspended", explained(found.Ready, status.conditions))
end
if is(found.Ready, "True") then
  return health("Healthy", explained(found.Ready, status.conditions))
end
if is(found.Verified, "False") then
  return health("Degraded", explained(found.Ready, status.conditions))
end
return health("Progressing", explained(found.Ready, status.conditions))
