"""deploy/: what can be known of it without a server."""

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import chdb
import pytest
import yaml

from recorder.database.users import HASHES
from tests.unit.test_repository import ROOT

DEPLOY = ROOT / "deploy"
PLACES = ("server", "cluster")
SERVICE_KEYS = {
    *("image", "restart", "env_file", "environment", "hostname", "depends_on", "ports", "volumes"),
    *("ulimits", "security_opt", "healthcheck"),
}
Compose = dict[str, Any]


def _compose(place: str) -> Compose:
    found: Compose = yaml.safe_load((DEPLOY / place / "docker-compose.yml").read_text())
    return found


def _mounts(compose: Compose) -> list[str]:
    return [mount for service in compose["services"].values() for mount in service["volumes"]]


@pytest.mark.parametrize(
    "path", sorted(DEPLOY.rglob("*.xml")), ids=lambda path: str(path.relative_to(DEPLOY))
)
def test_configurations_are_xml_of_the_servers_kind(path: Path) -> None:
    assert ET.parse(path).getroot().tag == "clickhouse"


@pytest.mark.parametrize("place", PLACES)
def test_images_are_pinned_to_the_release_of_the_embedded_engine(place: str) -> None:
    release = ".".join(str(chdb.engine_version).split(".")[:2])
    for service in _compose(place)["services"].values():
        assert re.fullmatch(rf"clickhouse/clickhouse-(server|keeper):{release}", service["image"])


@pytest.mark.parametrize("place", PLACES)
def test_compose_files_are_sound(place: str) -> None:
    compose = _compose(place)
    assert compose.keys() - {"x-server", "x-keeper"} == {"services", "volumes"}
    for service in compose["services"].values():
        assert set(service) <= SERVICE_KEYS
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
        assert all(isinstance(value, str) for value in service.get("environment", {}).values())
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(ports) == len(set(ports)) == (1 if place == "server" else 4)
    assert all(re.fullmatch(r"127\.0\.0\.1:81\d\d:8123", port) for port in ports)
    named = [mount.split(":")[0] for mount in _mounts(compose) if not mount.startswith("./")]
    assert sorted(named) == sorted(compose["volumes"])  # none is shared, none is left over
    files = {mount.split(":")[0] for mount in _mounts(compose) if mount.startswith("./")}
    assert files == {f"./{path.relative_to(DEPLOY / place)}" for path in (DEPLOY / place).rglob("*.xml")}
    assert all(mount.endswith(":ro") for mount in _mounts(compose) if mount.startswith("./"))


def test_the_hosts_of_the_cluster_are_services_of_it() -> None:
    services = _compose("cluster")["services"]
    assert all(service["hostname"] == name for name, service in services.items())
    servers = ET.parse(DEPLOY / "cluster/config.d/tapehead.xml").getroot()
    keepers = ET.parse(DEPLOY / "cluster/keeper.xml").getroot()
    hosts = {host.text for host in servers.iter("host")} | {host.text for host in keepers.iter("hostname")}
    assert hosts == set(services)
    assert len(services) == 4 + 3
    assert all(
        shard.findtext("internal_replication") == "true" for shard in servers.iter("shard") if len(shard)
    )


@pytest.mark.parametrize("place", PLACES)
def test_secrets_come_from_the_environment(place: str) -> None:
    example = (DEPLOY / place / ".env.example").read_text()
    offered = dict(re.findall(r"^(TAPEHEAD_\w+)=(.*)$", example, re.MULTILINE))
    assert set(offered.values()) == {""}
    texts = [path.read_text() for path in (DEPLOY / place).rglob("*.xml")]
    wanted = {name for text in texts for name in re.findall(r'from_env="(\w+)"', text)}
    services = _compose(place)["services"].values()
    given = {name for service in services for name in service["environment"] if name.startswith("TAPEHEAD_")}
    assert wanted == set(offered) | given
    assert set(HASHES.values()) <= set(offered)
    assert not any(re.search(r"<password>|[0-9a-f]{64}", text) for text in texts)
    ignored = subprocess.run(
        ["git", "check-ignore", f"deploy/{place}/.env"], cwd=ROOT, check=False, stdout=-1
    )
    assert ignored.returncode == 0


@pytest.mark.parametrize("place", PLACES)
def test_users_are_those_of_the_statements(place: str) -> None:
    users = ET.parse(DEPLOY / place / "users.d/tapehead.xml").getroot().find("users")
    assert users is not None
    assert {user.tag for user in users} == {"default", *HASHES}
    default = users.find("default")
    assert default is not None
    assert default.get("remove") == "remove"
