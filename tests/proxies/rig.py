#!/usr/bin/env python3
"""Count what nginx and HAProxy lose in front of gateways. Started by tests/proxies/run, which prepares a database and a key.

early   Each refusal whose request has a body that the gateway does not read (no key, a revoked key with 10,000 ids, another
        type, too large a body) has to arrive as the gateway's own, and calls of others on the same pools as X's answer.
drain   Two gateways are restarted in turn while calls go on through both proxies: every call has to be answered by X.

Every proxy runs twice for `early`: with a connection for each request, and with a pool of kept ones.
"""
import argparse, http.client, itertools, json, multiprocessing, random, signal, socket, subprocess, sys, time, urllib.request

UPSTREAM = 19000
GATEWAYS = [(19200, 19201), (19210, 19211)]
PORTS = {"nginx": 19101, "nginx-pool": 19102, "haproxy": 19103, "haproxy-pool": 19104}
TOTALS = "/insights/engagement/totals"
PATIENCE = 20

NGINX = """worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.err warn; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 8m; client_body_buffer_size 1m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{upstream} backlog=4096; default_type application/json; return 200 '{{"g":{{"1":{{"favorites":"1"}}}}}}'; }}
  upstream plain {{ {servers} }}
  upstream pool {{ {servers} keepalive 32; keepalive_timeout 1s; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  server {{ listen 127.0.0.1:{nginx}; location / {{ proxy_pass http://plain; proxy_set_header Connection close; }} }}
  server {{ listen 127.0.0.1:{nginx_pool}; location / {{ proxy_pass http://pool; }} }}
}}
"""

HAPROXY = """global
  maxconn 4096
defaults
  mode http
  option http-keep-alive
  option forwardfor
  option redispatch
  retries 3
  timeout connect 3s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
frontend plain
  bind 127.0.0.1:{haproxy}
  default_backend plain
frontend pool
  bind 127.0.0.1:{haproxy_pool}
  default_backend pool
backend plain
  option http-server-close
  http-reuse never
  option httpchk GET /readyz
  default-server check inter 250ms fall 1 rise 1
{servers}
backend pool
  http-reuse always
  option httpchk GET /readyz
  default-server check inter 250ms fall 1 rise 1 pool-purge-delay 500ms
{servers}
"""


class Gateway:
    """A gateway on two ports of its own; `restart` stops it as an orchestrator does."""

    def __init__(self, arguments, ports):
        self.program, self.ports, self.process = arguments.program, ports, None
        self.log = open(f"{arguments.folder}/gateway-{ports[0]}.log", "ab")

    def start(self):
        listen, admin = (f"127.0.0.1:{port}" for port in self.ports)
        command = [self.program, "serve", "--listen", listen, "--admin-listen", admin]
        self.process = subprocess.Popen(command, stderr=self.log)
        deadline = time.monotonic() + PATIENCE
        while not is_ready(listen):
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"a gateway did not start; see {self.log.name}")
            time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def restart(self):
        self.stop()
        self.start()


def is_ready(address):
    try:
        return urllib.request.urlopen(f"http://{address}/readyz", timeout=1).status == 200
    except OSError:
        return False


def start_proxies(folder, gateways):
    ports = {name.replace("-", "_"): port for name, port in PORTS.items()}
    addresses = [f"127.0.0.1:{it.ports[0]}" for it in gateways]
    # A gateway that stops refuses connections for a moment; that does not make it a bad one.
    nginx = " ".join(f"server {it} max_fails=0;" for it in addresses)
    haproxy = "\n".join(f"  server s{number} {it}" for number, it in enumerate(addresses))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(NGINX.format(folder=folder, upstream=UPSTREAM, servers=nginx, **ports))
    with open(f"{folder}/haproxy.cfg", "w") as file:
        file.write(HAPROXY.format(servers=haproxy, **ports))
    return [subprocess.Popen(["nginx", "-c", f"{folder}/nginx.conf"]),
            subprocess.Popen(["haproxy", "-db", "-q", "-f", f"{folder}/haproxy.cfg"])]


def wait_for(port):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
    sys.exit(f"nothing listens on {port}")


class Client:
    """One kept connection to a proxy."""

    def __init__(self, port):
        self.port, self.socket = port, None

    def post(self, path, headers, body):
        """Status and `Countersign-Error`, or what went wrong."""
        try:
            return self.exchange(path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return type(error).__name__, None

    def exchange(self, path, headers, body):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"POST {path} HTTP/1.1", "Host: proxies", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            self.socket.sendall("\r\n".join(lines + ["", ""]).encode() + body)
        except OSError:
            pass  # The answer may be there all the same.
        answer = http.client.HTTPResponse(self.socket, method="POST")
        answer.begin()
        answer.read()
        if answer.will_close:
            self.close()
        return answer.status, answer.getheader("countersign-error")

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


def ids(count):
    return [str(1560000000000000000 + number * 7919000000) for number in range(count)]


def call(key):
    body = {"tweet_ids": ids(1), "engagement_types": ["favorites"], "groupings": {"g": {"group_by": ["tweet.id"]}}}
    return TOTALS, {"X-Api-Key": key, "Content-Type": "application/json", "Cache-Control": "no-cache"}, json.dumps(body).encode(), (200, None)


def refusals(arguments):
    """Requests that are refused before their bodies are read, each with the answer that has to arrive."""
    large, huge = b" " * 60_000, b" " * 1_000_000
    question = json.dumps({"posts": ids(10_000), "metrics": ["favorites"]}).encode()
    known, typed = {"X-Api-Key": arguments.key, "Cache-Control": "no-cache"}, {"Content-Type": "application/json"}
    return [
        (TOTALS, typed, large, (401, "missing_key")),
        (TOTALS, typed, huge, (401, "missing_key")),
        ("/v1/engagement", {"X-Api-Key": arguments.revoked, **typed}, question, (401, "unknown_key")),
        (TOTALS, {**known, **typed}, huge, (413, "body_too_large")),
        (TOTALS, {**known, "Content-Type": "text/csv"}, large, (400, "not_json")),
        ("/nowhere", known, large, (404, "not_found")),
    ]


def send(port, requests, count, results):
    """Sends `count` requests in turn, and reports what did not end as it should."""
    client, lost = Client(port), []
    for path, headers, body, expected in itertools.islice(itertools.cycle(requests), count):
        found = client.post(path, headers, body)
        if found != expected:
            lost.append(f"{path}: {found} instead of {expected}")
    results.put(lost)


def send_until(port, request, pause, stop, results):
    """Sends until told to stop. Pauses leave connections idle in the proxy's pool, for longer and shorter."""
    client, lost, sent = Client(port), [], 0
    path, headers, body, expected = request
    while not stop.is_set():
        time.sleep(random.random() * pause)
        found = client.post(path, headers, body)
        sent += 1
        if found != expected:
            lost.append(f"{time.strftime('%X')} {found}")
    results.put((sent, lost))


def early(arguments):
    """(what, lost, of how many) for each proxy."""
    figures = []
    for name, port in PORTS.items():
        results, workers = multiprocessing.Queue(), 8
        each = arguments.refusals // (workers // 2)
        kinds = {"refusals": refusals(arguments), "calls beside them": [call(arguments.key)]}
        for kind in kinds.values():
            for _ in range(workers // 2):
                multiprocessing.Process(target=send, args=(port, kind, each, results)).start()
        lost = [it for _ in range(workers) for it in results.get(timeout=300)]
        figures.append((f"{name}: refusals and calls beside them", lost, each * workers))
    return figures


def drain(arguments, gateways):
    stop, pauses = multiprocessing.Event(), [0, 0, 0, 0.05, 0.05, 0.5, 2, 4]
    names = ["nginx-pool", "haproxy-pool"]
    queues = {name: multiprocessing.Queue() for name in names}
    for name in names:
        for pause in pauses:
            work = (PORTS[name], call(arguments.key), pause, stop, queues[name])
            multiprocessing.Process(target=send_until, args=work).start()
    for number in range(arguments.restarts):
        gateways[number % 2].restart()
        time.sleep(0.3)
    stop.set()
    figures = []
    for name in names:
        ended = [queues[name].get(timeout=60) for _ in pauses]
        lost = [it for _, some in ended for it in some]
        figures.append((f"{name}: calls over {arguments.restarts} restarts", lost, sum(sent for sent, _ in ended)))
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("program", "folder", "key", "revoked"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--refusals", type=int, default=2000, help="refused requests through each proxy")
    parser.add_argument("--restarts", type=int, default=50, help="restarts under load")
    parser.add_argument("--calls", type=int, default=50_000, help="calls that have to be made during the restarts, all together")
    arguments = parser.parse_args()
    gateways = [Gateway(arguments, ports) for ports in GATEWAYS]
    running = []
    try:
        for gateway in gateways:
            gateway.start()
        running += start_proxies(arguments.folder, gateways)
        for port in (UPSTREAM, *PORTS.values()):
            wait_for(port)
        figures, bad = early(arguments) if arguments.refusals else [], 0
        drained = drain(arguments, gateways) if arguments.restarts else []
        for what, lost, count in figures + drained:
            bad += len(lost)
            print(f"{'MISS' if lost else 'ok  '}  {what}: {len(lost)} lost of {count}")
            for line in lost[:5]:
                print(f"        {line}")
        made = sum(count for _, _, count in drained)
        if drained and made < arguments.calls:
            bad += 1
            print(f"MISS  only {made} calls during the restarts, of {arguments.calls}")
        sys.exit(bad > 0)
    finally:
        for process in running + [it.process for it in gateways if it.process]:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
