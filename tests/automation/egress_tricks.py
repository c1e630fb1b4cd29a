"""Addresses and tricks that must reach nothing: data for the test of the proxy and for drills.

``{port}`` is the port of a listener on 127.0.0.1 and ::1 that counts connections, ``{target}`` is ``127.0.0.1:{port}``,
``{site}`` the origin of a page that may be opened.
"""

from __future__ import annotations

import ipaddress
import itertools

# One of each kind of place that no page may lead to.
FORBIDDEN_V4 = (
    "127.0.0.1",
    "127.53.0.9",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.251",
    "255.255.255.255",
)
FORBIDDEN_V6 = (
    "::1",
    "::",
    "fe80::1",
    "fe80::1%lo",
    "fe80::1%25lo",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "100::1",
    "2001:2::1",
    "5f00::1",
    "64:ff9b:1::7f00:1",
)


def _spellings(text: str) -> list[str]:
    """An IPv4 address in every way that some parser takes, and inside the IPv6 addresses that lead to it."""
    address = ipaddress.IPv4Address(text)
    number, (a, b, c, d) = int(address), address.packed
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    teredo = f"2001:0:4136:e378:8000:63bf:{(number >> 16) ^ 0xFFFF:x}:{(number & 0xFFFF) ^ 0xFFFF:x}"
    return [
        text,
        f"{text}.",
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a}.{(b << 16) + (c << 8) + d}",
        f"{a}.{b}.{(c << 8) + d}",
        f"[::ffff:{text}]",
        f"[::ffff:{high}:{low}]",
        f"[64:ff9b::{high}:{low}]",
        f"[2002:{high}:{low}::1]",
        f"[{teredo}]",
        f"[::{text}]",
        f"[::ffff:0:{text}]",
        f"[2a00:1450::5efe:{high}:{low}]",
    ]


_NAMES = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "ip6-localhost",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "１２７.0.0.1",
    "%31%32%37.0.0.1",
    "127.0.0.1%00.example.com",
    "127.0.0.1%2f@example.com",
    "user@127.0.0.1",
    "user:password@127.0.0.1",
    "example.com@127.0.0.1",
    "127.0.0.1#@example.com",
    "127.0.0.1\\@example.com",
    "example.com\\@127.0.0.1",
    "xn--127-0-0-1-.localhost",
    "xn--",
    "127.0.0.1,example.com",
    "127.0.0.1;example.com",
    "127.0.0.1/",
    "[::1",
    "::1]",
    "[[::1]]",
    "[127.0.0.1]",
    "[::1]example.com",
    "",
    ".",
    "..",
    "-",
    "*",
    "0x7f.1",
    "0127.0.0.1",
    "127.000.000.001",
    "4294967297",
    "00000000000000000000000000000000000000000000000000177.0.0.1",
    "0x00000000000000000000007f000001",
)
# Every host is asked for by CONNECT and by GET.
HOSTS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [*itertools.chain.from_iterable(map(_spellings, FORBIDDEN_V4)), *(f"[{a}]" for a in FORBIDDEN_V6), *_NAMES]
    )
)

# What a name server of the attacker's answers: all of it is looked at, each time.
ANSWERS: tuple[tuple[str, ...], ...] = (
    ("127.0.0.1",),
    ("::1",),
    ("::ffff:127.0.0.1",),
    ("64:ff9b::7f00:1",),
    ("2002:7f00:1::1",),
    ("93.184.216.34", "127.0.0.1"),
    ("127.0.0.1", "93.184.216.34"),
    ("2606:2800:220:1::1", "::1"),
    ("10.0.0.1",),
    ("169.254.169.254",),
    ("0.0.0.0",),
    ("fe80::1%lo",),
    ("fd00:ec2::254",),
    ("100.64.0.1",),
    (),
)

# Sent to the proxy as they stand.
REQUESTS: tuple[bytes, ...] = (
    b"GET / HTTP/1.1\r\nHost: {target}\r\n\r\n",
    b"GET //{target}/ HTTP/1.1\r\nHost: {target}\r\n\r\n",
    b"GET http:{target}/ HTTP/1.1\r\n\r\n",
    b"GET http:/{target}/ HTTP/1.1\r\n\r\n",
    b"GET http:///{target}/ HTTP/1.1\r\n\r\n",
    b"GET http://nowhere.test/ HTTP/1.1\r\nHost: {target}\r\n\r\n",
    b"GET http://nowhere.test/ HTTP/1.1\r\nX-Forwarded-Host: {target}\r\nForwarded: host={target}\r\n\r\n",
    b"GET http://nowhere.test:80@{target}/ HTTP/1.1\r\n\r\n",
    b"GET http://nowhere.test\\@{target}/ HTTP/1.1\r\n\r\n",
    b"GET http://{target}#@nowhere.test/ HTTP/1.1\r\n\r\n",
    b"GET http://{target}?@nowhere.test/ HTTP/1.1\r\n\r\n",
    b"GET https://{target}/ HTTP/1.1\r\n\r\n",
    b"GET ftp://{target}/ HTTP/1.1\r\n\r\n",
    b"GET gopher://{target}/ HTTP/1.1\r\n\r\n",
    b"GET ws://{target}/ HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET http://{target}/ HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET file:///etc/passwd HTTP/1.1\r\n\r\n",
    b"GET http://nowhere.test/ HTTP/1.1\r\n\r\nGET http://{target}/ HTTP/1.1\r\n\r\n",
    b"GET http://nowhere.test/ HTTP/1.1\r\n\r\nCONNECT {target} HTTP/1.1\r\n\r\n",
    b"POST http://nowhere.test/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET http://{target}/ HTTP/1.1\r\n\r\n",
    b"CONNECT {target}/ HTTP/1.1\r\n\r\n",
    b"CONNECT http://{target} HTTP/1.1\r\n\r\n",
    b"CONNECT nowhere.test:443@{target} HTTP/1.1\r\n\r\n",
    b"CONNECT {target}@nowhere.test:443 HTTP/1.1\r\n\r\n",
    b"CONNECT nowhere.test:443,{target} HTTP/1.1\r\n\r\n",
    b"CONNECT nowhere.test:443 {target} HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1 HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:0 HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:-1 HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:99999 HTTP/1.1\r\n\r\n",
    b"CONNECT 127.0.0.1:0x50 HTTP/1.1\r\n\r\n",
    b"CONNECT nowhere.test:443 HTTP/1.1\r\nHost: {target}\r\n\r\n",
    b"CONNECT\t{target}\tHTTP/1.1\r\n\r\n",
    b"connect {target} HTTP/1.1\r\n\r\n",
    b" CONNECT {target} HTTP/1.1\r\n\r\n",
    b"CONNECT {target} HTTP/2.0\r\n\r\n",
    b"CONNECT {target}\r\n\r\n",
    b"CONNECT {target} HTTP/1.1\n\n\r\n\r\n",
    b"CONNECT nowhere.test:443 HTTP/1.1\nCONNECT {target} HTTP/1.1\r\n\r\n",
    b"CONNECT nowhere\x00.test:443 HTTP/1.1\r\nCONNECT {target} HTTP/1.1\r\n\r\n",
    b"GET http://nowhere.test/\rhttp://{target}/ HTTP/1.1\r\n\r\n",
    b"GET http://nowhere.test/ HTTP/1.1\r\n\tGET http://{target}/ HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: {target}\r\n\r\n",
    b"TRACE http://{target}/ HTTP/1.1\r\n\r\n",
    b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50\r\n\r\n",
    b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello\r\n\r\n",
    b"PROXY TCP4 1.2.3.4 127.0.0.1 80 80\r\nCONNECT {target} HTTP/1.1\r\n\r\n",
    b"\r\n\r\nCONNECT {target} HTTP/1.1\r\n\r\n",
)

# Pages of the site that may be opened; each is shown in a frame of one page in a real browser.
PAGES: tuple[str, ...] = (
    "<img src='http://{target}/'>",
    "<img srcset='http://{target}/ 2x'>",
    "<img src='//{target}/'>",
    "<img src='http://localhost:{port}/'>",
    "<img src='http://[::1]:{port}/'>",
    "<img src='http://2130706433:{port}/'>",
    "<img src='http://0x7f.1:{port}/'>",
    "<img src='http://127.1:{port}/'>",
    "<img src='http://①②⑦.0.0.1:{port}/'>",
    "<img src='http://user:password@{target}/'>",
    "<img src='{site}/redirect?to=http://{target}/'>",
    "<img src='{site}/redirect?to={site}/redirect?to=http://{target}/'>",
    "<script src='http://{target}/x.js'></script>",
    "<script type=module>import 'http://{target}/x.js'</script>",
    "<link rel=stylesheet href='http://{target}/x.css'>",
    "<link rel=icon href='http://{target}/x.ico'>",
    "<link rel=preload as=image href='http://{target}/'>",
    "<link rel=prefetch href='http://{target}/'>",
    "<link rel=preconnect href='http://{target}/'>",
    "<link rel=dns-prefetch href='http://{target}/'>",
    "<link rel=modulepreload href='http://{target}/x.js'>",
    "<link rel=manifest href='http://{target}/m.json'>",
    "<link rel=prerender href='http://{target}/'>",
    '<script type=speculationrules>{{"prerender":[{{"urls":["http://{target}/"]}}]}}</script>',
    "<style>body{{background:url(http://{target}/)}}</style>x",
    "<style>@import 'http://{target}/x.css';</style>",
    "<style>@font-face{{font-family:f;src:url(http://{target}/f)}}body{{font-family:f}}</style>x",
    "<video src='http://{target}/' autoplay muted></video>",
    "<audio src='http://{target}/' autoplay></audio>",
    "<video poster='http://{target}/'></video>",
    "<object data='http://{target}/'></object>",
    "<embed src='http://{target}/'>",
    "<iframe src='http://{target}/'></iframe>",
    "<iframe src='{site}/redirect?to=http://{target}/'></iframe>",
    "<iframe srcdoc=\"<img src='http://{target}/'>\"></iframe>",
    "<iframe src=\"data:text/html,<img src='http://{target}/'>\"></iframe>",
    "<iframe src=\"javascript:location='http://{target}/'\"></iframe>",
    "<svg><image href='http://{target}/'/></svg>",
    "<svg><use href='http://{target}/x.svg#a'/></svg>",
    "<input type=image src='http://{target}/'>",
    "<body background='http://{target}/'>",
    "<meta http-equiv=refresh content='0;url=http://{target}/'>",
    "<meta http-equiv=refresh content='0;url={site}/redirect?to=http://{target}/'>",
    "<base href='http://{target}/'><img src=x>",
    "<form id=f action='http://{target}/' method=post></form><script>f.submit()</script>",
    "<a id=a href='{site}/' ping='http://{target}/' target=_blank>x</a><script>a.click()</script>",
    "<script>fetch('http://{target}/',{{mode:'no-cors'}}).catch(()=>0)</script>",
    "<script>fetch('http://{target}/',{{method:'POST',keepalive:true,mode:'no-cors'}}).catch(()=>0)</script>",
    "<script>x=new XMLHttpRequest();x.open('GET','http://{target}/');x.send()</script>",
    "<script>navigator.sendBeacon('http://{target}/','x')</script>",
    "<script>new WebSocket('ws://{target}/')</script>",
    "<script>new WebSocket('ws://localhost:{port}/')</script>",
    "<script>new WebSocket('wss://{target}/')</script>",
    "<script>new EventSource('http://{target}/')</script>",
    "<script>new WebTransport('https://{target}/').ready.catch(()=>0)</script>",
    "<script>open('http://{target}/')</script>",
    "<script>location='http://{target}/'</script>",
    "<script>location.replace('http://{target}/')</script>",
    "<script>setTimeout(()=>{{location='http://{target}/'}},100)</script>",
    "<script>history.pushState(0,'','/');location.href='//{target}/'</script>",
    "<script>new Worker(URL.createObjectURL(new Blob([\"importScripts('http://{target}/')\"])))</script>",
    "<script>new Worker(URL.createObjectURL(new Blob([\"fetch('http://{target}/')\"])))</script>",
    "<script>new SharedWorker('data:text/javascript,fetch(\"http://{target}/\")')</script>",
    "<script>navigator.serviceWorker?.register('/sw.js').catch(()=>0)</script>",
    "<script>p=new RTCPeerConnection({{iceServers:[{{urls:'stun:{target}'}}]}});p.createDataChannel('x');"
    "p.createOffer().then(o=>p.setLocalDescription(o))</script>",
    "<script>p=new RTCPeerConnection({{iceServers:[{{urls:'turn:{target}?transport=tcp',username:'u',"
    "credential:'c'}}]}});"
    "p.createDataChannel('x');p.createOffer().then(o=>p.setLocalDescription(o))</script>",
    "<script>new Image().src='http://{target}/'</script>",
    "<script>document.cookie='a=b';navigator.connection;new Audio('http://{target}/').play().catch(()=>0)</script>",
    "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; report-uri http://{target}/\"><img src=/x>",
)

# Places that the page itself is sent to.
NAVIGATIONS: tuple[str, ...] = (
    "http://{target}/",
    "https://{target}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://0:{port}/",
    "http://127.1:{port}/",
    "http://017700000001:{port}/",
    "http://2130706433:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://localhost.:{port}/",
    "view-source:http://{target}/",
    "{site}/redirect?to=http://{target}/",
    "{site}/redirect?to={site}/redirect?to={site}/redirect?to=http://{target}/",
    "{site}/redirect?to=//{target}/",
    "{site}/refresh?to=http://{target}/",
    "{site}/headers?to=http://{target}/",
    "ftp://{target}/",
    "ws://{target}/",
)


def count() -> int:
    """How many addresses and tricks there are; each host counts once, though it is asked for in two ways."""
    return len(HOSTS) + len(ANSWERS) + len(REQUESTS) + len(PAGES) + len(NAVIGATIONS)
