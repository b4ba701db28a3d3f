"""What each field of the documents of volumes, networks, plugins, registries and builds risks."""

from collections.abc import Mapping

from tidegate.spec.requests.container_risks import LABELS
from tidegate.spec.requests.risks import Classes, classes

_CLUSTER = "a volume of the cluster: a plugin of the swarm mounts it"
_PLUGIN = "a plugin is root on the host"
_REACHES = "the host reaches the subnet through this network: another's traffic can be drawn in"

OBJECT_RISKS: Mapping[str, Classes] = {
    "VolumeCreateRequest": classes(
        "Name",
        confined={
            "Driver": "a volume plugin mounts what it likes",
            "DriverOpts": "o=bind and device= make a volume of any path or device of the host",
            "Labels": LABELS,
        },
        dangerous={"ClusterVolumeSpec": _CLUSTER},
    ),
    "VolumeUpdate": classes(dangerous={"Spec": _CLUSTER}),
    "ClusterVolumeSpec": classes(
        dangerous={
            "Group AccessMode Secrets AccessibilityRequirements CapacityRange Availability": _CLUSTER,
        }
    ),
    "ClusterVolumeSpec.AccessMode": classes(
        dangerous={
            "Scope Sharing MountVolume BlockVolume Secrets AccessibilityRequirements CapacityRange "
            "Availability": _CLUSTER
        }
    ),
    "ClusterVolumeSpec.AccessMode.MountVolume": classes(dangerous={"FsType MountFlags": _CLUSTER}),
    "ClusterVolumeSpec.AccessMode.Secrets": classes(dangerous={"Key Secret": _CLUSTER}),
    "ClusterVolumeSpec.AccessMode.AccessibilityRequirements": classes(dangerous={"Requisite Preferred": _CLUSTER}),
    "ClusterVolumeSpec.AccessMode.CapacityRange": classes(dangerous={"RequiredBytes LimitBytes": _CLUSTER}),
    "Topology": classes(dangerous={"Segments": _CLUSTER}),
    "NetworkCreate": classes(
        "Name Internal Attachable ConfigOnly IPAM EnableIPv4 EnableIPv6 CheckDuplicate",
        confined={
            "Driver": "macvlan and ipvlan are on the host's own network; a plugin does what it likes",
            "Scope": "swarm: a network of the whole cluster",
            "ConfigFrom": "takes its settings from another network",
            "Options": "a parent interface, a bridge of the host, addresses to publish on, gateway modes",
            "Labels": LABELS,
        },
        dangerous={"Ingress": "carries the published ports of the whole cluster"},
    ),
    "ConfigReference": classes(confined={"Network": "takes its settings from another network"}),
    "IPAM": classes(
        confined={
            "Driver": "an address plugin does what it likes",
            "Config": _REACHES,
            "Options": "what an address plugin obeys",
        }
    ),
    "IPAMConfig": classes("IPRange Gateway AuxiliaryAddresses", confined={"Subnet": _REACHES}),
    "NetworkConnectRequest": classes("EndpointConfig", confined={"Container": "acts on the container it names"}),
    "NetworkDisconnectRequest": classes("Force", confined={"Container": "acts on the container it names"}),
    "AuthConfig": classes(
        "username password email auth identitytoken registrytoken",
        confined={"serveraddress": "the engine speaks to the address, from the host's network"},
    ),
    "BuildOutput": classes("Type Attrs"),
    "PluginPrivilege": classes(dangerous={"Name Description Value": _PLUGIN}),
    "Empty": classes(),
}
