local spec, status = obj.spec, obj.status or {}
local suspended = spec.suspend == true
local current = status.observedGeneration == obj.metadata.generation

-- A gate of approval holds the candidate, and this very digest is not approved yet.
local function approvable()
  local pending = status.pending
  if pending == nil then
    return false
  end
  for _, approved in ipairs(spec.approved or {}) do
    if approved.tag == pending.tag and approved.digest == pending.digest then
      return false
    end
  end
  for _, reason in ipairs(pending.waitingFor) do
    if reason == "ApprovalRequired" then
      return true
    end
  end
  return false
end

-- status.ordering is about the spec that Pawl has seen; it is accepted for that one only.
local function reordered()
  local selection = status.selection
  return current and selection ~= nil and status.ordering ~= nil and status.ordering ~= selection.ordering
    and spec.acceptOrdering ~= status.ordering
end

-- What a rollback took back is blocked, and an image of another ordering cannot be compared.
local goes_back = { Newer = true, TagMoved = true, Floor = true }

local function revertible()
  local selection, history = status.selection, status.history or {}
  local last = history[#history]
  if selection == nil or last == nil or last.from == nil or not goes_back[last.cause] then
    return false
  end
  if last.to ~= selection.tag .. "@" .. selection.digest or reordered() then
    return false
  end
  return spec.rollback == nil or spec.rollback.nonce ~= "argocd-" .. selection.sequence
end

local function action(name, icon, allowed)
  return { displayName = name, iconClass = "fa fa-fw " .. icon, disabled = not allowed }
end

return {
  ["reconcile"] = action("Reconcile", "fa-sync", not suspended),
  ["suspend"] = action("Suspend", "fa-pause", not suspended),
  ["resume"] = action("Resume", "fa-play", suspended),
  ["approve"] = action("Approve pending", "fa-check", approvable()),
  ["accept-ordering"] = action("Accept ordering", "fa-sort", reordered()),
  ["rollback"] = action("Roll back to previous", "fa-undo", not suspended and revertible())
}
