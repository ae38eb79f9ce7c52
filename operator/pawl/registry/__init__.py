"""The outside that holds images: a client of the OCI distribution protocol.

    client        the door: tags, manifests, ping          scans        one tag list for all who want it
    targets       Endpoint, Access, URLs                   credentials  dockerconfigjson, matching as the kubelet does
    tags, manifests, platforms                             what is asked, read and compared
    exchange      authorization and redirects              tokens, challenges, realms   where a token comes from
    wire          one request, bounded and observed        budgets, limits              time, places, Retry-After
    pools, sockets, trust, proxies, addresses              connections, and to whom there is one

The rule of the room: hosts are written by tenants, and answers by strangers. Everything is bounded, every address is
judged before it is dialled, and credentials stay with the host they are for.
Neighbours: `decide.reference` names repositories; `controllers` asks for scans and manifests.
Not here: Kubernetes (credentials arrive as values), and any decision about versions.
"""
