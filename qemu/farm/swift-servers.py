"""Runs OpenStack Swift's proxy, account, container and object server with the S3 interface, in one process.

Each farm has its own: sockets are bound first (port 0, so none is taken), the rings are built for them, then Swift's own
applications serve them. Argument: the state folder, whose `etc` is seen as /etc/swift and whose `etc/keys` holds access
key and secret key, a line each. Prints one JSON line when all four answer. Recipe: Swift's "SAIO", without memcached.
"""

import json
import os
import signal
import sys
import traceback

state = sys.argv[1]
etc = "/etc/swift"
with open(os.path.join(etc, "keys")) as keys:
    access_key, secret_key = keys.read().split()
account, user = access_key.split(":")
devices = os.path.join(state, "devices")


def write(name, text):
    with open(os.path.join(etc, name), "w") as file:
        file.write(text)


# Swift reads this file while its modules are imported.
write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = dutboot\n")

import eventlet  # noqa: E402
import eventlet.wsgi  # noqa: E402
from swift.common import utils, wsgi  # noqa: E402

utils.monkey_patch()
# Each server chooses the event hub when it starts and would lose the green threads of those before it: a thread that has
# its hub keeps it.
choose_hub = eventlet.hubs.use_hub


def use_hub_once(module=None):
    if not hasattr(eventlet.hubs._threadlocal, "hub"):
        choose_hub(module)


choose_hub(utils.get_hub())
eventlet.hubs.get_hub()
eventlet.hubs.use_hub = use_hub_once


from swift.common.ring import RingBuilder  # noqa: E402

SERVERS = ["account", "container", "object", "proxy"]
sockets = {name: eventlet.listen(("127.0.0.1", 0), backlog=1024) for name in SERVERS}
ports = {name: sock.getsockname()[1] for name, sock in sockets.items()}

# Swift insists on syslog besides the console: a socket that nobody reads keeps the machine's own log clean.
syslog_socket = eventlet.green.socket.socket(eventlet.green.socket.AF_INET, eventlet.green.socket.SOCK_DGRAM)
syslog_socket.bind(("127.0.0.1", 0))

COMMON = f"""[DEFAULT]
bind_ip = 127.0.0.1
swift_dir = {etc}
devices = {devices}
mount_check = false
fallocate_reserve = 0
workers = 0
log_udp_host = 127.0.0.1
log_udp_port = {syslog_socket.getsockname()[1]}
log_level = WARNING
"""

BACKEND = """
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
conn_timeout = 30
node_timeout = 60
"""

PROXY = f"""
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
# One busy process serves all four: a server that answers late is not a server that is gone.
conn_timeout = 30
node_timeout = 60
recoverable_node_timeout = 60
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
paste.filter_factory = __main__:make_no_cache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
min_segment_size = 1
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret_key} .admin
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


class NoCache:
    """Stands where tempauth insists on memcached: knows nothing, keeps nothing, and is shared with no other farm."""

    def __getattr__(self, _):
        return lambda *_args, **_options: None


def make_no_cache(_global_conf, **_local_conf):
    def wrap(app):
        def serve_without_cache(env, start_response):
            env["swift.cache"] = NoCache()
            return app(env, start_response)

        return serve_without_cache

    return wrap


def build_ring(name):
    builder = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
    builder.add_dev(
        {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[name], "device": "d1", "weight": 1, "id": 0,
         "replication_ip": "127.0.0.1", "replication_port": ports[name], "meta": ""}
    )
    builder.rebalance()
    builder.get_ring().save(os.path.join(etc, f"{name}.ring.gz"))


def serve(name):
    try:
        conf, logger, _ = wsgi._initrp(os.path.join(etc, f"{name}-server.conf"), f"{name}-server")
        wsgi.run_server(conf, logger, sockets[name], ready_callback=lambda: ready.append(name))
    except BaseException:
        traceback.print_exc()
    # A server that ends while the others go on would leave half a farm.
    os._exit(1)


os.makedirs(os.path.join(devices, "d1"), exist_ok=True)
for name in SERVERS[:3]:
    build_ring(name)
    write(f"{name}-server.conf", COMMON + BACKEND.format(name=name))
write("proxy-server.conf", COMMON + PROXY)
os.chmod(os.path.join(etc, "proxy-server.conf"), 0o600)

# The first logger that goes to the console makes all later ones do so.
utils.get_logger({"log_udp_host": "127.0.0.1", "log_udp_port": str(syslog_socket.getsockname()[1])}, log_to_console=True)

ready = []
for name in SERVERS:
    eventlet.spawn(serve, name)
while len(ready) < len(SERVERS):
    eventlet.sleep(0.01)
print(json.dumps({"port": ports["proxy"]}), flush=True)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True:
    eventlet.sleep(3600)
