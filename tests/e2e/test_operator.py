"""What an operator can get wrong, and the commands beside `serve`: one line that says what to do, exit 2."""

import json
import random
import signal
import socket
import stat

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import OTHER_ZONE, RATE_LIMIT_OFF, ZONE, run_ashlar
from harness.waiting import wait_until


def one_line(done, status, *texts):
    """The command failed with `status` and exactly one line that contains each of `texts`."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for text in texts:
        assert str(text) in lines[0], f"`{text}` is not in: {lines[0]}"


def serve(tmp_path, *arguments, config=None, env=None):
    """Runs `ashlar serve` on free ports for a start that has to fail."""
    if config is not None:
        (tmp_path / "ashlar.toml").write_text(config)
        arguments = ("--config", tmp_path / "ashlar.toml", *arguments)
    words = list(map(str, arguments))
    for flag, value in (
        ("--data-dir", tmp_path / "data"),
        ("--api-listen", "127.0.0.1:0"),
        ("--nbd-listen", f"unix:{tmp_path}/n.sock"),
    ):
        if flag not in words:
            words += [flag, str(value)]
    return run_ashlar("serve", *words, env=env, timeout_s=30)


@pytest.mark.parametrize(
    ("config", "texts"),
    [
        ("colour = 1\n", ["colour"]),
        ("api_listen = 7\n", ["ashlar.toml", "line 1", "7"]),
        ("api_listen = [\n", ["ashlar.toml"]),
        ('rate_limits = "sometimes"\n', ["rate_limits"]),
        ('default_region = "Mars"\n', ["Mars"]),
    ],
)
def test_a_wrong_configuration_file(tmp_path, config, texts):
    one_line(serve(tmp_path, config=config), 2, *texts)
    assert not (tmp_path / "data").exists(), "a server that does not start leaves nothing behind"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--api-listen", "nowhere"),
        ("--api-listen", "127.0.0.1:99999"),
        ("--nbd-listen", "127.0.0.1"),
        ("--nbd-listen", "0.0.0.0:0"),
        ("--nbd-listen", "unix:"),
        ("--config", "/nonexistent/ashlar.toml"),
    ],
)
def test_a_wrong_flag(tmp_path, flag, value):
    one_line(serve(tmp_path, flag, value), 2, value.removeprefix("unix:"))


def test_wrong_variables_and_unknown_flags(tmp_path):
    done = run_ashlar(
        "serve",
        "--data-dir",
        tmp_path / "data",
        "--nbd-listen",
        f"unix:{tmp_path}/n.sock",
        env={"ASHLAR_API_LISTEN": "nonsense"},
    )
    one_line(done, 2, "nonsense")
    assert run_ashlar("serve", "--colour").returncode == 2
    assert run_ashlar("paint").returncode == 2


def test_release_builds_play_no_faults(tmp_path):
    (tmp_path / "faults.toml").write_text("")
    done = serve(tmp_path, "--fault-plan", tmp_path / "faults.toml")
    assert done.returncode == 2
    assert "--fault-plan" in done.stderr and "unexpected argument" in done.stderr


def test_ports_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        one_line(serve(tmp_path, "--api-listen", address), 2, address)
        one_line(serve(tmp_path, "--nbd-listen", address), 2, address)


def test_a_data_directory_has_one_server(servers, tmp_path):
    server = servers.start()
    one_line(serve(tmp_path, "--data-dir", server.data_dir), 2, server.data_dir)
    status, _, text = server.check()
    assert status == 2, text
    assert Cloud(server).call("DescribeDisks")["TotalCount"] == 0


def test_a_socket_of_a_living_server_is_not_taken_away(servers, tmp_path):
    server = servers.start()
    one_line(serve(tmp_path, "--nbd-listen", f"unix:{server.nbd_socket}"), 2, server.nbd_socket)


def test_first_start_makes_its_files_for_the_owner_alone(servers):
    server = servers.start()
    for name, mode in [("", 0o700), ("admin.env", 0o600), ("admin.sock", 0o600)]:
        assert stat.S_IMODE((server.data_dir / name).stat().st_mode) == mode, name
    environment = server.admin_environment()
    assert environment["TENCENTCLOUD_REGION"] == "ap-guangzhou"
    assert environment["ASHLAR_ENDPOINT"] == server.endpoint
    keys = {name: environment[name] for name in ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY")}
    assert keys["TENCENTCLOUD_SECRET_KEY"] not in server.log_path.read_text()
    server.stop()
    server.port = 0
    server.start()
    environment = server.admin_environment()
    assert environment["ASHLAR_ENDPOINT"] == server.endpoint, "the file follows the endpoint"
    assert {name: environment[name] for name in keys} == keys


def test_instances_by_command_line(servers):
    server = servers.start()

    def instance(*arguments, status=0):
        done = run_ashlar("instance", *arguments, "--data-dir", server.data_dir, "--json")
        assert done.returncode == status, (done.stdout, done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    plain = server.add_instance(zone=ZONE, name="first")
    assert plain.startswith("ins-") and len(plain) == 12
    instance("add", "--zone", OTHER_ZONE, "--id", "ins-aaaa0000")
    listed = json.dumps(instance("list"))
    assert plain in listed and "first" in listed and "ins-aaaa0000" in listed and OTHER_ZONE in listed
    instance("add", "--zone", OTHER_ZONE, "--id", "ins-aaaa0000", status=1)
    instance("add", "--zone", "ap-nowhere-1", status=1)
    instance("remove", "ins-00000000", status=1)
    cloud = Cloud(server)
    disk = cloud.create_disk()
    cloud.attach(plain, disk)
    instance("remove", plain, status=1)
    assert cloud.disk(disk)["InstanceId"] == plain
    cloud.detach(disk)
    instance("remove", plain)
    instance("remove", "ins-aaaa0000")
    assert "ins-" not in json.dumps(instance("list"))


def test_commands_without_a_server(tmp_path):
    one_line(run_ashlar("instance", "list", "--data-dir", tmp_path / "nothing"), 2, tmp_path / "nothing")
    assert run_ashlar("check", "--data-dir", tmp_path / "nothing").returncode == 2


def test_logs_for_machines_tell_of_each_call(servers):
    server = servers.start(RATE_LIMIT_OFF + "json_log = true\n")
    wanted = {"DiskChargeType": "POSTPAID_BY_HOUR", "DiskType": "CLOUD_PREMIUM", "DiskSize": 10}
    request = Cloud(server).call("CreateDisks", Placement={"Zone": ZONE}, **wanted)["RequestId"]
    server.stop()
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if request in json.dumps(line)]
    assert "CreateDisks" in json.dumps(told)


def test_version_and_help():
    assert run_ashlar("--version").stdout.startswith("ashlar ")
    for arguments in (["--help"], ["serve", "--help"], ["instance", "--help"], ["check", "--help"]):
        done = run_ashlar(*arguments)
        assert done.returncode == 0 and "Usage" in done.stdout


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_stops(servers, stop_signal):
    server = servers.start()
    cloud = Cloud(server)
    disk = cloud.create_disk()
    cloud.attach(server.add_instance(), disk)
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(0, b"\x10" * 4096)
        server.stop(stop_signal=stop_signal)
        wait_until(client.is_lost, "the session has ended")
    server.assert_clean()
    server.start()
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(0, 4096) == b"\x10" * 4096, "a clean stop loses no answered write"


@pytest.mark.parametrize("damage", ["truncate", "scribble"])
def test_check_finds_a_damaged_pool(servers, damage):
    server = servers.start()
    cloud = Cloud(server)
    disk = cloud.create_disk()
    server.stop()
    server.assert_clean()
    database = server.data_dir / "pools" / "ap-guangzhou" / "map.redb"
    if damage == "truncate":
        with database.open("r+b") as file:
            file.truncate(database.stat().st_size // 2)
    else:
        with database.open("r+b") as file:
            file.write(b"\xa5" * 4096)
    status, _, text = server.check()
    assert status == 1, (disk, text)
    assert "map" in text or disk in text


@pytest.mark.parametrize("damage", ["scribble", "remove"])
def test_a_map_whose_checksums_are_wrong_is_served_after_it_was_proven_whole(servers, damage):
    server = servers.start()
    disk = Cloud(server).create_disk()
    server.stop()
    sums = server.data_dir / "pools" / "ap-guangzhou" / "map.sums"
    sound = sums.read_bytes()
    assert sound.strip(b"\0"), "each page of the map has one"
    if damage == "scribble":
        sums.write_bytes(b"\xa5" * len(sound))
        status, _, text = server.check()
        assert status == 1 and "`map.sums` does not fit `map.redb`, which is whole" in text, text
    else:
        sums.unlink()
        server.assert_clean()
    server.start()
    assert Cloud(server).disk(disk)["DiskState"] == "UNATTACHED"
    server.stop()
    server.assert_clean()


@pytest.mark.parametrize("missing", ["control.db", "pools/ap-guangzhou"])
def test_a_data_directory_that_lost_a_part_is_refused(servers, tmp_path, missing):
    server = servers.start()
    disk = Cloud(server).create_disk()
    server.stop()
    gone = server.data_dir / missing
    for part in gone.parent.glob(gone.name + "*"):
        part.rename(tmp_path / part.name)
    done = serve(tmp_path, "--data-dir", server.data_dir)
    assert done.returncode in (1, 2), done.stderr
    assert gone.name in done.stderr.strip().splitlines()[-1], done.stderr
    status, _, text = server.check()
    assert status in (1, 2), text
    for part in tmp_path.glob(gone.name + "*"):
        part.rename(gone.parent / part.name)
    server.assert_clean()
    server.start()
    assert Cloud(server).disk(disk)["DiskState"] == "UNATTACHED", "put back, everything is there"


PAGE_BYTES = 4096
FLIPS = 24


def test_check_reports_single_flipped_bits_without_a_panic(servers, seed):
    server = servers.start()
    cloud = Cloud(server)
    disk = cloud.create_disk()
    cloud.attach(server.add_instance(), disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(64):
            client.write(number << 24, b"\x01" * 4096)
    cloud.create_snapshot(disk)
    server.stop()
    server.assert_clean()
    path = server.data_dir / "pools" / "ap-guangzhou" / "map.redb"
    sound = path.read_bytes()
    used = [page for page in range(0, len(sound), PAGE_BYTES) if sound[page : page + PAGE_BYTES].strip(b"\0")]
    chance = random.Random(seed)
    found = 0
    for page in chance.sample(used, min(FLIPS, len(used))):
        offset = page + chance.randrange(PAGE_BYTES)
        damaged = bytearray(sound)
        damaged[offset] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        status, _, text = server.check()
        assert status in (0, 1), f"byte {offset}: {text}"
        assert "panicked" not in text, f"byte {offset}: {text}"
        found += status
    path.write_bytes(sound)
    server.assert_clean()
    assert found > 0, "no flipped bit was found"
