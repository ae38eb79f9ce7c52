-- Back to the image before the selected one, as compare-and-set: it applies only while this selection is current. The
-- nonce is made of the sequence, which never repeats, so that a second click asks for the same thing again.

-- Scripts get no string library. Comparing is left: the next character is the greatest one that keeps the beginning at
-- or below the text. All characters of tags and digests, in the order of their bytes.
local characters = {
  "-", ".", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", ":", "@",
  "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X",
  "Y", "Z", "_", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u",
  "v", "w", "x", "y", "z"
}

-- An entry of the history has no more characters than this; without a bound an odd one would be read for ever.
local longest = 256

local function next_after(beginning, text)
  for index = #characters, 1, -1 do
    if beginning .. characters[index] <= text then
      return characters[index]
    end
  end
  error("not a tag with a digest: " .. text)
end

-- tag@digest as two values; the digest is "" where the text has none.
local function cut(text)
  local parts, part, beginning = { "", "" }, 1, ""
  while beginning ~= text do
    if #beginning == longest then
      error("not a tag with a digest: " .. text)
    end
    local character = next_after(beginning, text)
    beginning = beginning .. character
    if character == "@" then
      part = 2
    else
      parts[part] = parts[part] .. character
    end
  end
  return parts[1], parts[2]
end

local status = obj.status or {}
local selection, history = status.selection, status.history or {}
local last = history[#history]
if selection == nil or last == nil or last.from == nil then
  error("nothing was selected before")
end
local tag, digest = cut(last.from)
if digest == "" then
  error("the digest of " .. tag .. " is not known")
end
obj.spec.rollback = {
  nonce = "argocd-" .. selection.sequence,
  from = { tag = selection.tag, digest = selection.digest },
  to = { tag = tag, digest = digest },
  reason = "rolled back to the previous image in Argo CD",
  requestedBy = "Argo CD"
}
return obj
