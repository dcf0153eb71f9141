"""PostgreSQL clusters, PgBouncer, gateways and their callers, for the scripts beside this file."""
import http.client, json, os, shutil, signal, socket, subprocess, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PATIENCE = 30
X = 19590
TOTALS = "/insights/engagement/totals"
ANSWER = b'{"g":{"1":{"favorites":"1"}}}'
QUESTION = json.dumps({"tweet_ids": ["1"], "engagement_types": ["favorites"], "groupings": {"g": {"group_by": ["tweet.id", "engagement.type"]}}})


def as_postgres(*command):
    """PostgreSQL and PgBouncer refuse to run as root."""
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else [*command]


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, cwd="/", **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}")
    return done.stdout


def install(*packages):
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    quiet = dict(stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    for command in (["update", "-qq"], ["install", "-yqq", "--no-install-recommends", *packages]):
        if subprocess.run([*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *command], **quiet).returncode:
            sys.exit(f"install these first: {' '.join(packages)}")


def postgres_bin():
    """Where Debian's newest PostgreSQL has its programs."""
    versions = lambda: sorted((it for it in os.listdir("/usr/lib/postgresql") if os.path.exists(f"/usr/lib/postgresql/{it}/bin/initdb")), key=float) \
        if os.path.isdir("/usr/lib/postgresql") else []
    if not versions():
        install("postgresql")
    return f"/usr/lib/postgresql/{versions()[-1]}/bin"


def program():
    """The gateway's: another build may be measured instead."""
    if given := os.environ.get("COUNTERSIGN_PROGRAM"):
        return os.path.abspath(given)
    if subprocess.run(["cargo", "build", "--locked"], cwd=ROOT).returncode:
        sys.exit("the gateway cannot be built")
    return f"{os.environ.get('CARGO_TARGET_DIR', ROOT + '/target')}/debug/countersign"


def folder():
    path = run(*as_postgres("mktemp", "-d", "/tmp/countersign-rig.XXXXXX")).strip()
    os.chmod(path, 0o755)
    return path


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what}: not within {PATIENCE} s")
        time.sleep(0.01)


class Cluster:
    """A PostgreSQL server on a port of its own."""

    def __init__(self, home, port):
        self.bin, self.home, self.port, self.data = postgres_bin(), home, port, f"{home}/{port}"

    def create(self):
        run(*as_postgres(f"{self.bin}/initdb", "-D", self.data, "-U", "countersign", "-A", "trust", "-E", "UTF8", "--locale=C"))
        return self.start()

    def standby_of(self, primary):
        shutil.rmtree(self.data, ignore_errors=True)
        run(*as_postgres(f"{self.bin}/pg_basebackup", "-h", "127.0.0.1", "-p", str(primary.port), "-U", "countersign", "-c", "fast", "-R", "-D", self.data))
        return self.start()

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c shared_buffers=32MB -c max_connections=100"
        run(*as_postgres(f"{self.bin}/pg_ctl", "start", "-s", "-w", "-D", self.data, "-l", f"{self.data}.log", "-o", options))
        return self

    def control(self, *words):
        run(*as_postgres(f"{self.bin}/pg_ctl", "-s", "-w", "-D", self.data, *words))

    def signal(self, number):
        """The server first, then its children: once suspended, it starts no more."""
        with open(f"{self.data}/postmaster.pid") as file:
            server = int(file.readline())
        os.kill(server, number)
        with open(f"/proc/{server}/task/{server}/children") as file:
            for child in file.read().split():
                try:
                    os.kill(int(child), number)
                except ProcessLookupError:
                    pass

    def sql(self, text, database="postgres"):
        return run(f"{self.bin}/psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "countersign", "-d", database, "-c", text).strip()

    def destroy(self):
        if os.path.exists(f"{self.data}/postmaster.pid"):
            try:
                self.signal(signal.SIGCONT)
                subprocess.run(as_postgres(f"{self.bin}/pg_ctl", "stop", "-s", "-m", "immediate", "-D", self.data), cwd="/")
            except (OSError, ValueError):
                pass
        shutil.rmtree(self.data, ignore_errors=True)


class Gateway:
    """A gateway on two ports of its own, with an app whose calls go to `serve_x`."""

    def __init__(self, binary, home, ports, settings):
        self.binary, self.ports, self.log = binary, ports, f"{home}/gateway-{ports[0]}.log"
        self.environment = os.environ | settings | {
            "COUNTERSIGN__SERVER__LISTEN": f"127.0.0.1:{ports[0]}", "COUNTERSIGN__ADMIN__LISTEN": f"127.0.0.1:{ports[1]}"}

    def run(self, *words):
        return subprocess.run([self.binary, *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def text(self, *words):
        done = self.run(*words)
        if done.returncode:
            sys.exit(f"countersign {' '.join(words)}: {done.stderr}")
        return done.stdout.strip()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve"], env=self.environment, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.ask("GET", "/readyz")[0] == 200, f"a gateway is ready ({self.log})")
        if self.process.poll() is not None:
            sys.exit(f"a gateway did not start; see {self.log}")
        return self

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def ask(self, method, path, key=None, body=None, admin=False, timeout=30):
        """Status and text; no status where there is no answer."""
        try:
            client = http.client.HTTPConnection("127.0.0.1", self.ports[1 if admin else 0], timeout=timeout)
            headers = {"Content-Type": "application/json", "Cache-Control": "no-cache", "Accept-Encoding": "gzip"} | ({"Authorization": f"Bearer {key}"} if key else {})
            if admin:
                headers["Accept-Encoding"] = "identity"
            client.request(method, path, body, headers)
            answer = client.getresponse()
            text = answer.read()
            client.close()
            return answer.status, text
        except OSError as error:
            return None, str(error)

    def call(self, key):
        return self.ask("POST", TOTALS, key, QUESTION)[0]

    def create_key(self, admin, name):
        return self.ask("POST", "/admin/v1/keys", admin, json.dumps({"name": name, "app": "rig"}), admin=True)


def settings(url, binary, **more):
    ring = subprocess.run([binary, "vault", "generate-key"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return {"COUNTERSIGN__DATABASE__URL": url, "COUNTERSIGN__VAULT__KEYS": ring, "COUNTERSIGN__LIMITS__DRAIN_NOTICE": "0s",
            "COUNTERSIGN__UPSTREAM__DATA_URL": f"http://127.0.0.1:{X}", "COUNTERSIGN__UPSTREAM__API_URL": f"http://127.0.0.1:{X}",
            "COUNTERSIGN__UPSTREAM__ALLOW_HTTP": "true", "COUNTERSIGN__LOG__FORMAT": "json",
            "COUNTERSIGN__APPS__RIG__CONSUMER_KEY": "xvz1evFS4wEEPTGEFPHBog", "COUNTERSIGN__APPS__RIG__CONSUMER_SECRET": "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "COUNTERSIGN__APPS__RIG__BEARER_TOKEN": "A" * 44} | more


def serve_x():
    """An X that gives everybody the same answer."""
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet for each answer: the second of two would wait for an acknowledgement of the first.
        wbufsize = 1 << 16

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", X), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


class Work:
    """Threads that do something again and again until they are told to stop."""

    def __init__(self):
        self.stopping, self.threads = threading.Event(), []

    def start(self, action, *arguments):
        def repeat():
            while not self.stopping.is_set():
                action(*arguments)
        self.threads.append(threading.Thread(target=repeat))
        self.threads[-1].start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Writers:
    """Create keys, and remember what they heard of each."""

    def __init__(self, admin):
        self.admin, self.lock, self.heard, self.count = admin, threading.Lock(), {}, 0

    def write(self, gateway):
        with self.lock:
            self.count += 1
            name = f"key {self.count}"
        begun = time.monotonic()
        status, text = gateway.create_key(self.admin, name)
        ended = time.monotonic()
        code = 201 if status == 201 else json.loads(text).get("code", status) if status else "no answer"
        with self.lock:
            self.heard[name] = (begun, ended, code, gateway.ports[0], json.loads(text)["secret"] if status == 201 else None)

    def verdict(self, gateway):
        """How many were reported as done and are missing, as failed and are there, and as unknown."""
        stored = {line.split("\t")[0] for line in gateway if line}
        done = [name for name, (*_, code, _, _) in self.heard.items() if code == 201]
        unknown = [name for name, (*_, code, _, _) in self.heard.items() if code in ("outcome_unknown", "no answer")]
        failed = [name for name in self.heard if name not in done and name not in unknown]
        return dict(done=len(done), failed=len(failed), unknown=len(unknown),
                    missing=len([it for it in done if it not in stored]), wrongly_failed=len([it for it in failed if it in stored]))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")
