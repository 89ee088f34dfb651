"""Writes golden.jsonl: texts, and what Python makes of them (null: it does not read them).

    python3 golden.py > golden.jsonl
"""
import json
import random

random.seed(20230910)

TEXTS = r'''
{}
[]
null
true
false
""
 [ ] 
{ "a" : 1 , "b" : [ 1 , 2 ] }
{"b": 1, "a": 2, "b": 3}
{"a": {"x": 1}, "b": 2, "\u0061": [], "c": 3, "a": 7}
{"é": 1, "\u00e9": 2, "\u00E9": 3}
{"😀": 1, "\ud83d\ude00": 2}
{"/": 1, "\/": 2}
{"": 0, "": 1}
"é"
"\u00e9"
"ї Ї"
"😀"
"\ud83d\ude00"
"\ud83d"
"\ude00"
"\ude00\ud83d"
"\ud83d\ud83d\ude00"
"\ud83d😀"
"\uD83D \uDE00"
"\ufffe\uffff"
"\u007f"
""
"\u0000\u0001\u001f"
"\b\f\n\r\t\"\\\/"
"\u0008\u000c\u000a\u000d\u0009\u0022\u005c\u002f"
"</script>"
"~ !#[]^_`{|}"
"  "
0
-0
-0.0
0.0
1
-1
12345678901234567890123456789012345678901234567890
-12345678901234567890123456789012345678901234567890
9223372036854775808
18446744073709551616
1.0
1.50
0.1
0.30000000000000004
100.0
1e0
1E0
1e+2
1e-2
1e2
1e15
1e16
1e17
1e21
1e22
1e23
123456789012345678.0
9007199254740993.0
9999999999999998.0
9999999999999999.0
12345678901234567.0
0.0001
0.00001
0.00012345
1e-4
1e-5
1.5e-5
1e-7
1e-10
1.5e300
1e308
1.7976931348623157e308
1.7976931348623159e308
1e400
-1e400
1e-400
-1e-400
5e-324
2.2250738585072014e-308
1e999999999999999999999
0.1e1
4.35
7.143
2.5e-1
NaN
Infinity
-Infinity
[NaN, -Infinity, Infinity]
{"a": NaN}
nan
-NaN
+1
01
-01
1.
.5
1.e5
1e
1e+
0x10
1_000
-
--1
tru
True
None
nulll
[1,]
[,1]
[1 2]
[
]
{
}
{"a"}
{"a":}
{"a":1,}
{a: 1}
{'a': 1}
{"a" 1}
{1: 2}
"
"abc
"\x"
"\u12"
"\u12G4"
"\u 123"
"\u+123"
"a	b"
{} {}
[1] x
// comment
[1, /* c */ 2]
{"heartbeat": "alive"}
{"objectName": "some_objectName", "policyName": " Packet Loss alert test", "triggeredValue": "7.143", "value": "4.0"}
{"object_attributes":{"status":"failed"},"project":{"name":"demo"},"user":{"username":"olena"},"builds":[{"id":1,"duration":12.5},{"id":2,"duration":null}]}
'''.strip("\n").split("\n")

TEXTS += ["", " ", "\n", "\t[1,\r\n2]\n", "\ufeff1", "\u00a01", "\u2028", '"\u2028"', '"a\nb"', '"a\x00b"', "1\x0c", "[" * 300 + "]" * 300,
          '{"a":' * 200 + "1" + "}" * 200, "1" + "0" * 400, "0." + "1" * 400, "1" * 400 + ".5", "-1" + "0" * 308 + ".0"]


def text_of_string():
    out = []
    for _ in range(random.randrange(12)):
        out.append(random.choice([
            lambda: chr(random.randrange(0x20, 0x7f)).replace("\\", "\\\\").replace('"', '\\"'),
            lambda: chr(random.choice([0x7f, 0x80, 0xe9, 0x457, 0x2028, 0xfffd, 0x1f600, 0x10ffff])),
            lambda: "\\" + random.choice('"\\/bfnrt'),
            lambda: "\\u%04x" % random.randrange(0x10000),
            lambda: "\\u%04X" % random.randrange(0xd800, 0xe000),
            lambda: "\\ud83d\\ude%02x" % random.randrange(256),
        ])())
    return '"' + "".join(out) + '"'


def text_of_number():
    return random.choice([
        lambda: str(random.randrange(-10 ** random.randrange(1, 30), 10 ** random.randrange(1, 30))),
        lambda: repr(random.uniform(-1, 1) * 10 ** random.randrange(-20, 20)),
        lambda: "%de%d" % (random.randrange(1000), random.randrange(-330, 330)),
        lambda: "%d.%de%+d" % (random.randrange(100), random.randrange(10 ** 20), random.randrange(-30, 30)),
        lambda: "%d.%d" % (random.randrange(10 ** 17), random.randrange(1000)),
    ])()


def space():
    return random.choice(["", "", "", " ", "\n", "\t", "\r\n  "])


def text(depth=0):
    kind = random.randrange(6 if depth < 5 else 3)
    if kind == 0:
        return random.choice(["null", "true", "false", "NaN", "-Infinity"])
    if kind == 1:
        return text_of_number()
    if kind == 2:
        return text_of_string()
    if kind == 3:
        return "[" + space() + ("," + space()).join(text(depth + 1) for _ in range(random.randrange(5))) + space() + "]"
    keys = ['"a"', '"\\u0061"', '"b"', '"\u0457"', text_of_string()]
    members = [random.choice(keys) + space() + ":" + space() + text(depth + 1) for _ in range(random.randrange(6))]
    return "{" + space() + (space() + "," + space()).join(members) + space() + "}"


TEXTS += [text() for _ in range(300)]
TEXTS += [text_of_number() for _ in range(150)]
# Two shortest texts equally near, and the borders between powers of two.
TEXTS += [repr(random.randrange(10 ** 15, 2 ** 51) + random.choice([0.25, 0.75])) for _ in range(50)]
TEXTS += [repr(2.0 ** random.randrange(-1074, 1024)) for _ in range(50)]

# Texts with one character gone or doubled: mostly not JSON any more.
for whole in [text() for _ in range(120)]:
    at = random.randrange(len(whole))
    TEXTS.append(whole[:at] + random.choice(["", whole[at] * 2]) + whole[at + 1:])

for one in TEXTS:
    try:
        # Bytes, as they come from the network: Python then skips a byte order mark.
        written = json.dumps(json.loads(one.encode()))
    except ValueError:
        written = None
    print(json.dumps([one, written], ensure_ascii=True))
