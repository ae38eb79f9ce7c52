"""What the API server refuses in `spec.access` of a RegistryStorage, with the sentence that names the way out.

Neighbours: `api.registrystorage_rules` has the rules of the other parts, `api.registrystorage_access` the bounds of
single fields. Not here: what only the cluster can tell, such as whether a name has an address.
"""

from __future__ import annotations

from itertools import combinations
from typing import Final

from pawl.api.cel import DOTTED, IPV6, LABEL, chosen, duration_rule, matches, selector_rules, when
from pawl.api.rules import Refusal, Rule

_FORBIDDEN: Final = Refusal.FORBIDDEN

_LOWER: Final = LABEL.replace("A-Z", "")
_LOWER_DOTTED: Final = DOTTED.replace("A-Z", "")
_PORT: Final = "(:[0-9]{1,5})"
HOST: Final = f"^((localhost|{_LOWER_DOTTED}|{IPV6}){_PORT}?|{_LOWER}{_PORT})$"
"""Grammar of `access.host`: what every client takes for a registry, and not for a folder of Docker Hub."""

_INGRESS_HOST: Final = f"^{_LOWER_DOTTED}{_PORT}?$"
_IPV4: Final = f"^[0-9.]+{_PORT}?$"
_TLS_FIELDS: Final = ("selfSigned", "secretRef", "issuerRef", "disabled")
_TLS_CHOSEN: Final = (
    chosen("selfSigned", value=True),
    {"required": ["secretRef"]},
    {"required": ["issuerRef"]},
    chosen("disabled", value=True),
)

_REACHED: Final = (
    Rule(
        "spec.access.host",
        matches(HOST),
        "access.host is host[:port] in lower case, such as registry.example.com, registry.corp:5000, 10.0.0.1:30500 "
        "or [fd00::1]:5000; a word alone needs its port, else clients take it for a folder of Docker Hub",
        editor={"pattern": HOST},
    ),
    Rule(
        "spec.access.tls",
        "[self.selfSigned, has(self.secretRef), has(self.issuerRef), self.disabled].filter(one, one).size() <= 1",
        f"access.tls has one of {', '.join(_TLS_FIELDS)}: keep one and remove the others; with none it is selfSigned",
        editor={"not": {"anyOf": [{"allOf": list(pair)} for pair in combinations(_TLS_CHOSEN, 2)]}},
    ),
    Rule(
        "spec.access.users",
        "!self.disabled || !has(self.secretRef)",
        "access.users.disabled means that nobody logs in: remove access.users.secretRef, or disabled",
        field=".secretRef",
        refusal=_FORBIDDEN,
        editor=when(chosen("disabled", value=True), {"properties": {"secretRef": False}}),
    ),
    Rule(
        "spec.access",
        "!self.anonymousPull || !has(self.users) || !self.users.disabled",
        "access.anonymousPull has no meaning where nobody logs in: remove it, or access.users.disabled",
        field=".anonymousPull",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "spec.access",
        "!has(self.pullSecrets) || !has(self.users) || !self.users.disabled",
        "there are no credentials to hand out where nobody logs in: remove access.pullSecrets, or "
        "access.users.disabled",
        field=".pullSecrets",
        refusal=_FORBIDDEN,
    ),
    duration_rule("spec.access.users.rotateEvery", "1h", "8760h"),
    *selector_rules("spec.access.pullSecrets.namespaceSelector"),
)

_IS_INGRESS: Final = "has(self.service) && self.service.type == 'Ingress'"

_OFFERED: Final = (
    Rule(
        "spec.access.service",
        "!has(self.nodePort) || self.type == 'NodePort'",
        "access.service.nodePort is for type NodePort: set the type too, or remove nodePort",
        field=".nodePort",
        refusal=_FORBIDDEN,
        editor=when({"required": ["nodePort"]}, chosen("type", "NodePort")),
    ),
    Rule(
        "spec.access.service",
        "self.type == 'Ingress' || !has(self.ingress) || !(has(self.ingress.className) || "
        "(has(self.ingress.annotations) && self.ingress.annotations.size() > 0))",
        "access.service.ingress is for type Ingress: set the type too, or remove ingress",
        field=".ingress",
        refusal=_FORBIDDEN,
    ),
    Rule(
        "spec.access",
        f"!({_IS_INGRESS}) || has(self.host)",
        "an Ingress is found by its host: give access.host, such as registry.example.com",
        field=".host",
        refusal=Refusal.REQUIRED,
        editor=when(
            {"required": ["service"], "properties": {"service": chosen("type", "Ingress")}}, {"required": ["host"]}
        ),
    ),
    Rule(
        "spec.access",
        f"!({_IS_INGRESS}) || !has(self.host) || !{matches(HOST, 'self.host')}"
        f" || ({matches(_INGRESS_HOST, 'self.host')} && !{matches(_IPV4, 'self.host')})",
        "an Ingress takes a DNS name and no address: give access.host such as registry.example.com",
        field=".host",
    ),
    Rule(
        "spec.access",
        "!self.anonymousPull || !has(self.service) || self.service.port < 65535",
        "access.anonymousPull takes the port one above access.service.port: lower that one",
        field=".service.port",
    ),
)

ACCESS_RULES: Final = (*_REACHED, *_OFFERED)
