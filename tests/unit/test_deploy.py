"""deploy/: what can be known of it without a server. Compose files are read as the YAML they make use of."""

import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import chdb
import pytest

from recorder.users import HASHES
from tests.unit.test_repository import ROOT

DEPLOY = ROOT / "deploy"
PLACES = ("server", "cluster")
LINE = re.compile(r"( *)(?:- )?(?:[\w.<&*-]+:(?: .*)?|\"[^\"]*\"|[\w./:*-]+)$")


def _compose(place: str) -> str:
    return (DEPLOY / place / "docker-compose.yml").read_text()


def _mounts(place: str) -> set[str]:
    return set(re.findall(r"^ +- (\./[^:]+):", _compose(place), re.MULTILINE))


@pytest.mark.parametrize(
    "path", sorted(DEPLOY.rglob("*.xml")), ids=lambda path: str(path.relative_to(DEPLOY))
)
def test_configurations_are_xml_of_the_servers_kind(path: Path) -> None:
    assert ET.parse(path).getroot().tag == "clickhouse"


@pytest.mark.parametrize("place", PLACES)
def test_images_are_pinned_to_the_release_of_the_embedded_engine(place: str) -> None:
    release = ".".join(str(chdb.engine_version).split(".")[:2])
    images = re.findall(r"image: (\S+)", _compose(place))
    assert images
    assert all(re.fullmatch(rf"clickhouse/clickhouse-(server|keeper):{release}", image) for image in images)


@pytest.mark.parametrize("place", PLACES)
def test_compose_files_are_sound(place: str) -> None:
    text = _compose(place)
    for number, line in enumerate(text.splitlines(), start=1):
        if line and not line.startswith("#"):
            found = LINE.match(line)
            assert found is not None, f"{place}, line {number}: {line}"
            assert len(found[1]) % 2 == 0, f"{place}, line {number}: {line}"
    ports = re.findall(r'^ +- "?([\d.:]+:8123)"?$', text, re.MULTILINE)
    assert len(ports) == len(set(ports)) == (1 if place == "server" else 4)
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert set(re.findall(r"\*(\w+)", text)) <= set(re.findall(r"&(\w+)", text))
    services, _, volumes = text.partition("\nservices:")[2].partition("\nvolumes:")
    named = set(re.findall(r"^ +- ([\w-]+):/var/lib", services, re.MULTILINE))
    assert named == set(re.findall(r"^  ([\w-]+): \{\}$", volumes, re.MULTILINE))
    for mount in _mounts(place):
        assert (DEPLOY / place / mount).is_file()
    mounted = {f"./{path.relative_to(DEPLOY / place)}" for path in (DEPLOY / place).rglob("*.xml")}
    assert mounted == _mounts(place)


def test_the_hosts_of_the_cluster_are_services_of_it() -> None:
    services = set(re.findall(r"^  ((?:clickhouse|keeper)-\w+):$", _compose("cluster"), re.MULTILINE))
    servers = ET.parse(DEPLOY / "cluster/config.d/tapehead.xml").getroot()
    keepers = ET.parse(DEPLOY / "cluster/keeper.xml").getroot()
    hosts = {host.text for host in servers.iter("host")} | {host.text for host in keepers.iter("hostname")}
    assert hosts == services
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
    given = set(re.findall(r"^ +(TAPEHEAD_\w+):", _compose(place), re.MULTILINE))
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
