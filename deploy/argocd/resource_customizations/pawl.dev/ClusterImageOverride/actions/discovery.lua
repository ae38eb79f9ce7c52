local spec, status = obj.spec, obj.status or {}
local suspended = spec.suspend == true

-- The plan in status is about the spec that Pawl has seen; it is approved for that one only.
local function approvable()
  local rollout, plan = spec.rollout or {}, status.plan
  return rollout.mode == "Plan" and plan ~= nil and plan.hash ~= rollout.approvedPlan
    and status.observedGeneration == obj.metadata.generation
end

local function action(name, icon, allowed)
  return { displayName = name, iconClass = "fa fa-fw " .. icon, disabled = not allowed }
end

return {
  ["reconcile"] = action("Reconcile", "fa-sync", not suspended),
  ["suspend"] = action("Suspend", "fa-pause", not suspended),
  ["resume"] = action("Resume", "fa-play", suspended),
  ["approve-plan"] = action("Approve plan", "fa-check", not suspended and approvable())
}
