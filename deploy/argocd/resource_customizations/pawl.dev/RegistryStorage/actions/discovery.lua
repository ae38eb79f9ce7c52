local spec, status = obj.spec, obj.status or {}
local suspended = spec.suspend == true

-- Phases in which nothing is at work. A collection waits for a migration, and for the one before.
local rests = { Hold = true, Done = true, Cancelled = true, Failed = true, Refused = true }

local function idle(work)
  return work == nil or rests[work.phase] == true
end

local function collectable()
  return status.store ~= nil and idle(status.migration) and idle(status.collection)
end

local function action(name, icon, allowed)
  return { displayName = name, iconClass = "fa fa-fw " .. icon, disabled = not allowed }
end

return {
  ["reconcile"] = action("Reconcile", "fa-sync", not suspended),
  ["suspend"] = action("Suspend", "fa-pause", not suspended),
  ["resume"] = action("Resume", "fa-play", suspended),
  ["collect"] = action("Collect garbage", "fa-recycle", not suspended and collectable())
}
