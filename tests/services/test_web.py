"""Requests to web servers: allowed hosts only, checked addresses, limits, and secrets kept."""

from __future__ import annotations

import datetime
import json
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.engine.context import Secret, WebRequest
from app.engine.problems import RagloomError
from app.services.web import WebService
from app.services.web_address import fits, is_public
from app.settings import InvalidSettings, load_settings
from tests.services.web_server import WebServer


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


@pytest.fixture
def web(server: WebServer) -> WebService:
    return WebService([], [server.place], environ={"RAGLOOM_SECRET_TOKEN": 's3cret"/x'})


async def refused(web: WebService, url: str, **fields: object) -> RagloomError:
    with pytest.raises(RagloomError) as raised:
        await web.fetch(WebRequest(url=url, **fields))
    assert raised.value.fix
    return raised.value


async def test_a_request_arrives_and_its_answer_comes_back(
    web: WebService, server: WebServer
) -> None:
    got = await web.fetch(
        WebRequest(
            url=f"{server.url}/echo?q=a%20b#part",
            method="POST",
            headers={"X-Who": ("Ragloom ", "tests"), "Content-Type": ("text/plain",)},
            body="grün".encode(),
        )
    )
    seen = json.loads(got.body)
    assert (got.status, seen["method"], seen["path"]) == (200, "POST", "/echo?q=a%20b")
    assert (seen["body"], seen["headers"]["x-who"]) == ("grün", "Ragloom tests")
    assert seen["headers"]["host"] == server.place
    assert got.headers["content-type"] == "application/json"
    assert got.url == f"{server.url}/echo?q=a%20b"


async def test_nothing_is_allowed_unless_the_settings_say_so(server: WebServer) -> None:
    for web in (WebService(), WebService(["example.com", "*.example.com"], ["127.0.0.1"])):
        error = await refused(web, f"{server.url}/echo")
        assert error.code == "host_not_allowed"
        assert "is at a private address" in error.message
        # That http_allow may name it would not be enough.
        assert f"add “{server.place}” to the setting http_allow_private (" in error.fix
        assert "start the server again" in error.fix
    elsewhere = await refused(WebService(["*"]), "http://example.com:8443/x")
    assert "Add “example.com:8443” to the setting http_allow (" in elsewhere.fix
    count = len(server.requests)
    for host in ("127.0.0.1", "localhost"):
        web = WebService([f"*:{server.port}"])
        error = await refused(web, f"http://{host}:{server.port}/echo")
        assert error.code == "private_address"
    assert len(server.requests) == count


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("example.com", "example.com", 443, True),
        ("example.com", "example.com", 8080, False),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com", "evil-example.com", 443, False),
        ("example.com", "example.com.evil.net", 443, False),
        ("*.example.com", "a.b.example.com", 80, True),
        ("*.example.com", "example.com", 80, False),
        ("EXAMPLE.com", "example.com", 80, True),
        ("[::1]:9000", "::1", 9000, True),
        ("::1", "::1", 80, True),
        ("*", "anything.net", 443, True),
        ("*", "anything.net", 22, False),
        ("*:8080", "anything.net", 8080, True),
    ],
)
def test_entries_of_the_allow_list(entry: str, host: str, port: int, allowed: bool) -> None:
    assert fits(entry, host, port) is allowed


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        *((a, False) for a in (
            "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
            "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1%eth0",
            "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1",
            "2002:7f00:1::", "2002:c0a8:101::", "nonsense",
        )),
    ],
)  # fmt: skip
def test_private_addresses_in_every_disguise(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/x", "file:///etc/passwd", "127.0.0.1/x", "http://", "http://a b/",
     "http://user:geheim@127.0.0.1/x", "http://[::1", "\x00", "http://127.0.0.1:99999999/",
     "http://127.0.0.1:x/"],
)  # fmt: skip
async def test_addresses_that_are_none(web: WebService, url: str) -> None:
    error = await refused(web, url)
    assert error.code == "bad_url"
    assert "geheim" not in str(error)


class Names:
    """A name server that says something else each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0)


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used(
    server: WebServer,
) -> None:
    names = Names(["127.0.0.1"])
    web = WebService([], [f"service.test:{server.port}"], resolve=names)
    got = await web.fetch(WebRequest(url=f"http://service.test:{server.port}/echo"))
    assert json.loads(got.body)["headers"]["host"] == f"service.test:{server.port}"
    assert names.asked == ["service.test"]


async def test_a_public_name_at_a_private_address_is_refused(server: WebServer) -> None:
    place = f"rebinding.test:{server.port}"
    for answers in (["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:10.0.0.1"]):
        web = WebService([place], resolve=Names(answers))
        error = await refused(web, f"http://{place}/echo")
        assert error.code == "private_address"
        assert f"add “{place}” to the setting http_allow_private (" in error.fix
    assert (await refused(WebService([place], resolve=Names([])), f"http://{place}/")).code == (
        "host_unreachable"
    )


async def test_redirects_are_followed_and_checked(web: WebService, server: WebServer) -> None:
    got = await web.fetch(WebRequest(url=f"{server.url}/to?/echo", method="POST", body=b"{}"))
    assert json.loads(got.body)["method"] == "GET"
    assert got.url == f"{server.url}/echo"
    kept = await web.fetch(WebRequest(url=f"{server.url}/keep?/echo", method="POST", body=b"{}"))
    assert json.loads(kept.body)["body"] == "{}"
    for place, code in (
        ("http://169.254.169.254/latest", "host_not_allowed"),
        ("file:///etc/passwd", "bad_url"),
        ("//evil.test/x", "host_not_allowed"),
    ):
        assert (await refused(web, f"{server.url}/to?{place}")).code == code
    assert (await refused(web, f"{server.url}/to?/to?/to?/to?/echo", max_redirects=2)).code == (
        "too_many_redirects"
    )
    raw = await web.fetch(WebRequest(url=f"{server.url}/to?/echo", max_redirects=0))
    assert (raw.status, raw.headers["location"]) == (302, "/echo")


async def test_secrets_arrive_but_never_come_back(web: WebService, server: WebServer) -> None:
    secret = 's3cret"/x'
    headers = {"Authorization": ("Bearer ", Secret(name="token")), "X-Plain": ("p",)}
    got = await web.fetch(WebRequest(url=f"{server.url}/echo", headers=headers))
    assert server.requests[-1]["headers"]["authorization"] == f"Bearer {secret}"
    assert json.loads(got.body)["headers"]["authorization"] == "Bearer •••"
    assert "s3cret" not in got.model_dump_json()
    error = await refused(web, f"{server.url}/echo", headers={"A": (Secret(name="absent"),)})
    assert error.code == "unknown_secret"
    assert "RAGLOOM_SECRET_ABSENT" in error.fix


async def test_secrets_stay_behind_when_a_redirect_leads_elsewhere(server: WebServer) -> None:
    other = WebServer()
    try:
        web = WebService([], [server.place, other.place], environ={"RAGLOOM_SECRET_KEY": "geheim"})
        await web.fetch(
            WebRequest(
                url=f"{server.url}/to?{other.url}/echo",
                headers={"X-Key": (Secret(name="key"),), "Cookie": ("c",), "X-Plain": ("p",)},
            )
        )
        headers = other.requests[-1]["headers"]
        assert "x-key" not in headers
        assert "cookie" not in headers
        assert headers["x-plain"] == "p"
    finally:
        other.close()


@pytest.mark.parametrize(
    "headers",
    [{"X": ("a\r\nY: b",)}, {"Host": ("evil",)}, {"a b": ("x",)}, {"X": ("x" * 20_000,)},
     {"Content-Length": ("5",)}],
)  # fmt: skip
async def test_headers_that_cannot_be_sent(
    web: WebService, server: WebServer, headers: dict[str, tuple[str]]
) -> None:
    assert (await refused(web, f"{server.url}/echo", headers=headers)).code == "bad_request"


async def test_answers_have_limits(web: WebService, server: WebServer) -> None:
    assert json.loads((await web.fetch(WebRequest(url=f"{server.url}/gzip"))).body)["path"]
    for path in ("/large", "/bomb"):
        error = await refused(web, f"{server.url}{path}", max_bytes=100_000)
        assert error.code == "response_too_large"
    assert (await refused(web, f"{server.url}/brotli")).code == "bad_response"
    assert (await refused(web, f"{server.url}/slow?5", timeout_s=0.2)).code == "timeout"
    assert (await refused(web, f"{server.url}/cut")).code == "request_failed"
    assert (await refused(web, f"{server.url}/echo", method="TRACE")).code == "bad_request"
    gone = WebService([], ["127.0.0.1:9"])
    assert (await refused(gone, "http://127.0.0.1:9/")).code == "host_unreachable"


async def test_certificates_are_checked_for_the_name(tmp_path: Path) -> None:
    certificate = _certificate(tmp_path, "service.test")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, tmp_path / "key.pem")
    server = WebServer(serving)
    place = f"service.test:{server.port}"
    try:
        trusting = ssl.create_default_context(cafile=str(certificate))
        web = WebService([], [place], resolve=Names(["127.0.0.1"]), tls=trusting)
        assert (await web.fetch(WebRequest(url=f"https://{place}/echo"))).status == 200
        other = f"other.test:{server.port}"
        web = WebService([], [other], resolve=Names(["127.0.0.1"]), tls=trusting)
        assert (await refused(web, f"https://{other}/echo")).code == "bad_certificate"
        web = WebService([], [place], resolve=Names(["127.0.0.1"]))
        assert (await refused(web, f"https://{place}/echo")).code == "bad_certificate"
    finally:
        server.close()


def test_the_settings_name_hosts() -> None:
    environ = {
        "RAGLOOM_HTTP_ALLOW": "api.example.com, *.test:8443",
        "RAGLOOM_HTTP_ALLOW_PRIVATE": "localhost:1234,[::1]:80,10.0.0.1",
        "RAGLOOM_SECRET_ANYTHING": "x",
    }
    settings = load_settings(environ=environ)
    assert settings.http_allow == ["api.example.com", "*.test:8443"]
    assert settings.http_allow_private == ["localhost:1234", "[::1]:80", "10.0.0.1"]
    for name, bad in (("http_allow", "https://x.com"), ("http_allow_private", "*")):
        with pytest.raises(InvalidSettings):
            load_settings(environ={}, **{name: [bad]})


def _certificate(folder: Path, name: str) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
