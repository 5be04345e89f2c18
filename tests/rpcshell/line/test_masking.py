import pytest

from rpcshell.line.masking import (
    MASKED,
    Known,
    mask_line,
    mask_params,
    mask_text,
    mask_value,
    masked_places,
)
from rpcshell.line.secrets import is_secret, named_params


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ('login {"user": "bob", "password": "hunter2"}', 'login {"user": "bob", "password": "***"}'),
        ('login <"password":"hunter2">', 'login <"password":"***">'),
        ("login user=bob password=hunter2 x=1", 'login user=bob password="***" x=1'),
        ("login password='hunter 2'", 'login password="***"'),
        ("login password=1234", 'login password="***"'),
        ("login {password: 'x', Token: [1, 2], n: 1}", 'login {password: "***", Token: "***", n: 1}'),
        ('a {"x": [{"api_key": "k"}, {"Api-Key": "l"}]}', 'a {"x": [{"api_key": "***"}, {"Api-Key": "***"}]}'),
        ('a {"secret": {"password": "x"}}', 'a {"secret": "***"}'),
        ('a {\n  "token": "x",\n  "b": 2\n}', 'a {\n  "token": "***",\n  "b": 2\n}'),
        ('a {"headers": {"Authorization": "Bearer x"}}', 'a {"headers": {"Authorization": "***"}}'),
        ('a {"password": "x", oops "y"}', 'a {"password": "***"'),
        ('a {"password": "x y', 'a {"password": "***"'),
        ("a {password: hunter2 and more}", 'a {password: "***"'),
        ("login password = hunter2", 'login password"***"'),
        ('login {"password" "hunter2"}', 'login {"password" "***"'),
        ('login {"password": , "hunter2"}', 'login {"password": "***"'),
        ('login {"password" = hunter2}', 'login {"password" = "***"'),
        ('a {"password": ', 'a {"password": '),
        ('a {"max_tokens": 100, "name": "password"}', 'a {"max_tokens": 100, "name": "password"}'),
        (":spawn 10 --model thread", ":spawn 10 --model thread"),
        ("password", "password"),
        ("login password=$pw user=$_.name", "login password=$pw user=$_.name"),
        ('login {"password": null, "token": false}', 'login {"password": null, "token": false}'),
        ('login password=$"a ${b}"', 'login password="***"'),
        ("t = login password=a | jq .token > x", 't = login password="***" | jq .token > x'),
        ('api_key = "abcd"', 'api_key = "***"'),
        ('x = {"token": "abcd"}', 'x = {"token": "***"}'),
        ("api_key = $x.token", "api_key = $x.token"),
        ("ping | curl -H 'Authorization: Bearer abcd' host", "ping | curl -H 'Authorization: \"***\"' host"),
        ("ping | mysql --password=abcd -u x", 'ping | mysql --password="***" -u x'),
        ("ping | mysql --password abcd -u x", 'ping | mysql --password "***" -u x'),
        ("ping | grep password | wc -l", "ping | grep password | wc -l"),
        (":watch 2 login user=bob password=abcd", ':watch 2 login user=bob password="***"'),
        (':watch 2 login {"password": "abcd"}', ':watch 2 login {"password": "***"}'),
        (":alias in = login password=abcd", ':alias in = login password="***"'),
        (":connect x --token abcd", ':connect x --token "***"'),
        (":help\nlogin password=abcd\nping 1", ':help\nlogin password="***"\nping 1'),
    ],
)
def test_secrets_in_a_line_are_masked(line: str, stored: str) -> None:
    assert mask_line(line) == stored
    assert mask_line(stored) == stored


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("a url=postgres://bob:hunter2@host/db", 'a url="postgres://***@host/db"'),
        ('a "https://ghp_abc@host" ', 'a "https://***@host" '),
        ("a url=postgres://bob:hun/ter2@host", 'a url="postgres://***@host"'),
        ("a url=http://host:80/@scope/pkg to=mailto:bob@host", "a url=http://host:80/@scope/pkg to=mailto:bob@host"),
        ('a url="https://x/y?n=1&api_key=abcd&m=2"', 'a url="https://x/y?n=1&api_key=***&m=2"'),
        ('a body="{\\"pw\\": \\"x\\", \\"n\\": 2.50}"', 'a body="{\\"pw\\": \\"***\\", \\"n\\": 2.50}"'),
        ('a body=\'[{"pw": "x"}]\'', 'a body="[{\\"pw\\": \\"***\\"}]"'),
        ('a body="[1] # password=abcd"', 'a body="[1] # password=\\"***\\""'),
        ('a h="X-Auth: one two"', 'a h="X-Auth: ***"'),
        ('a h="Bearer abcdef" j="eyJab.cd.ef"', 'a h="Bearer ***" j="eyJ***"'),
        (
            'a k="-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4\\nabcd\\n-----END RSA PRIVATE KEY-----" b=1',
            'a k="-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----" b=1',
        ),
        ('a k="-----BEGIN CERTIFICATE-----abcd"', 'a k="-----BEGIN CERTIFICATE-----abcd"'),
        ("a x=\"<u><name>bob</name><pw a='1'>x y</pw></u>\"", "a x=\"<u><name>bob</name><pw a='1'>***</pw></u>\""),
        ("a env=DB_PASS=hunter2", 'a env="DB_PASS=***"'),
        ('a x=$"https://u:abcd@h/${n}"', 'a x=$"https://***@h/${n}"'),
        ('a x=$"${n}"', 'a x=$"${n}"'),
        ('x = "redis://:abcd@h"', 'x = "redis://***@h"'),
        (":connect tls://bob:abcd@h:1", ":connect tls://***@h:1"),
        (":connect bob:abcd@h:1", ":connect ***@h:1"),
        (":connect jsonrpc:bob:a/b@c@[::1]:80 --plain", ":connect ***@[::1]:80 --plain"),
        ("rpcshell bob:abcd@h:1 ping", 'rpcshell "***"'),
        ("a at=bob:abcd@h.example:80", 'a at="***@h.example:80"'),
        ("a image=repo:1.2@sha256:0123456789", "a image=repo:1.2@sha256:0123456789"),
        ("ping # token: abcd efgh", 'ping # token: "***"'),
        ("# password=abcd", '# password="***"'),
        ("ping | curl -d 'password=one two' h", "ping | curl -d 'password=\"***\"' h"),
        ('ping | x --password=a"b c" y', 'ping | x --password="***" y'),
        ('ping | curl -H "Authorization: Basic abcd" h', 'ping | curl -H "Authorization: ***" h'),
    ],
)
def test_secrets_inside_texts_are_masked_and_the_rest_is_kept(line: str, stored: str) -> None:
    assert mask_line(line) == stored
    assert mask_line(stored) == stored


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ('run ["--password", "abcd", "-v"]', 'run ["--password", "***", "-v"]'),
        ('run argv=["x","--token","abcd"]', 'run argv=["x","--token","***"]'),
        ('run ["curl","-u","bob:abcd"]', 'run ["curl","-u","***"]'),
        ('run ["--no-password", "--force"]', 'run ["--no-password", "--force"]'),
        ('set [["Authorization", "Basic abcd"], ["a", "b"]]', 'set [["Authorization", "***"], ["a", "b"]]'),
        ('find ["id", "password", "mail"]', 'find ["id", "password", "mail"]'),
        ('set {"name": "password", "value": "abcd"}', 'set {"name": "password", "value": "***"}'),
        ("set key=DB_PASSWORD value=abcd", 'set key=DB_PASSWORD value="***"'),
        ('env {"e": [{"k": "API_TOKEN", "v": ["abcd"]}]}', 'env {"e": [{"k": "API_TOKEN", "v": "***"}]}'),
        ('set {"value": 1, "text": "I forgot my password"}', 'set {"value": 1, "text": "I forgot my password"}'),
        ('set {"name": "token", "limit": 2}', 'set {"name": "token", "limit": 2}'),
        ("ping | curl -u bob:abcd host", 'ping | curl -u bob:"***" host'),
        ("ping | curl -ubob:abcd host", 'ping | curl -ubob:"***" host'),
        ("ping | docker run -u 1000:1000 x", "ping | docker run -u 1000:1000 x"),
        ('run cmd="curl --user bob:abcd h"', 'run cmd="curl --user bob:*** h"'),
        (':bench login {"password": "abcd"} -c 4', ':bench login {"password": "***"} -c 4'),
        ("ping | mysql -u bob -phunter2 db", "ping | mysql -u bob -p*** db"),
        ("ping | /usr/bin/mysqldump -p'a b' db | gzip -p 9", "ping | /usr/bin/mysqldump -p*** db | gzip -p 9"),
        ("ping | mysql -p db; ssh -p2222 host", "ping | mysql -p db; ssh -p2222 host"),
        ("ping | smbclient //h/s -U 'WG\\u%abcd' -c ls", "ping | smbclient //h/s -U 'WG\\u%***' -c ls"),
        ("ping | rpcclient --user=u%abcd h", "ping | rpcclient --user=u%*** h"),
        ("ping | lftp -u bob,abcd ftp://h", "ping | lftp -u bob,*** ftp://h"),
        ("ping | htpasswd -cbB -C 10 f u abcd && ls", 'ping | htpasswd -cbB -C 10 f u "***" && ls'),
        ("ping | htpasswd -nb u abcd", 'ping | htpasswd -nb u "***"'),
        ("ping | htpasswd -c f u", "ping | htpasswd -c f u"),
        ("ping | openssl enc -k abcd -K 00ff -in f", 'ping | openssl enc -k "***" -K "***" -in f'),
        ("ping | openssl rsa -passin pass:abcd", 'ping | openssl rsa -passin pass:"***"'),
        ("ping | openssl rsa -passin env:PW -passout file:x", "ping | openssl rsa -passin env:PW -passout file:x"),
        ("ping | openssl passwd -6 -salt xx abcd", 'ping | openssl passwd -6 -salt xx "***"'),
        ("ping | curl -k https://h/; ssh -K h", "ping | curl -k https://h/; ssh -K h"),
        ("ping | mysqladmin -u root password abcd", 'ping | mysqladmin -u root password "***"'),
        ("ping | snmpget -v3 -A abcd -X efgh h", 'ping | snmpget -v3 -A "***" -X "***" h'),
        ("ping | ssh-keygen -p -P abcd -N 'e f' -f k", 'ping | ssh-keygen -p -P "***" -N "***" -f k'),
        ("ping | rabbitmqctl add_user bob abcd", 'ping | rabbitmqctl add_user bob "***"'),
        ("ping | redis-cli -h x AUTH u abcd", 'ping | redis-cli -h x AUTH u "***"'),
        ("ping | sqlplus scott/abcd@db", "ping | sqlplus scott/***"),
        ("ping | sqlplus / as sysdba", "ping | sqlplus / as sysdba"),
        ("ping | aws configure set aws_secret_access_key abcd", 'ping | aws configure set aws_secret_access_key "***"'),
        ("ping | sudo mysql -pabcd -e 'select 1'", "ping | sudo mysql -p*** -e 'select 1'"),
        ("ping | echo 'u:abcd' | chpasswd", "ping | echo '***' | chpasswd"),
        ("ping | echo abcd | sudo -S ls", 'ping | echo "***" | sudo -S ls'),
        ("ping | echo $PW | docker login --password-stdin", "ping | echo $PW | docker login --password-stdin"),
        (
            'run {"command":"/usr/bin/mysql","args":["-u","x","-pabcd"]}',
            'run {"command":"/usr/bin/mysql","args":["-u","x","***"]}',
        ),
        ('run command=docker args=["login","-p","abcd"]', 'run command=docker args=["login","-p","***"]'),
        (
            'run {"cmd":"rabbitmqctl","args":["add_user","bob","abcd"]}',
            'run {"cmd":"rabbitmqctl","args":["add_user","bob","***"]}',
        ),
        ('run {"command":"mysql","args":"-u x -pabcd"}', 'run {"command":"mysql","args":"***"}'),
        ('run ["mysql",["-u","x","-pabcd"]]', 'run ["mysql",["-u","x","***"]]'),
        ('run ["smbclient","-U","u%abcd"]', 'run ["smbclient","-U","***"]'),
        ('run {"command":"ssh","args":["-p2222","h"]}', 'run {"command":"ssh","args":["-p2222","h"]}'),
        ("ping | sshpass -p abcd ssh -p 2222 host", 'ping | sshpass -p "***" ssh -p 2222 host'),
        ("ping | docker login -u bob -p abcd", 'ping | docker login -u bob -p "***"'),
        ("ping | docker run -p 8080:80 x", "ping | docker run -p 8080:80 x"),
        ("ping | redis-cli -a abcd get k", 'ping | redis-cli -a "***" get k'),
        ("ping | ls -a abcd", "ping | ls -a abcd"),
        (
            "ping | ldapsearch -D cn=bob -w abcd ; unzip -P abcd x",
            'ping | ldapsearch -D cn=bob -w "***" ; unzip -P "***" x',
        ),
        ("ping | mosquitto_pub -p 1883 -P abcd", 'ping | mosquitto_pub -p 1883 -P "***"'),
        ("!mysql -phunter2", "!mysql -p***"),
        ('run cmd="sshpass -p abcd ssh h"', 'run cmd="sshpass -p *** ssh h"'),
        ('run ["mysql","-u","bob","-phunter2","db"]', 'run ["mysql","-u","bob","***","db"]'),
        ('run ["mysql","-phunter2"]', 'run ["mysql","***"]'),
        ('run ["docker","login","-p","abcd","a b"]', 'run ["docker","login","-p","***","a b"]'),
        ('run ["ssh","-p","2222"]', 'run ["ssh","-p","2222"]'),
        ('run ["sh","-c","mysql -phunter2 db"]', 'run ["sh","-c","mysql -p*** db"]'),
        ('put netrc="machine h login bob password abcd"', 'put netrc="machine h login bob password ***"'),
        ('put netrc="default password abcd"', 'put netrc="default password ***"'),
        ('put text="by default the password is asked"', 'put text="by default the password is asked"'),
        ('get url="https://h/a?se=1&sig=abcd&sp=r"', 'get url="https://h/a?se=1&sig=***&sp=r"'),
        ("a creds=abcd mfa_code=abcd", 'a creds="***" mfa_code="***"'),
    ],
)
def test_secrets_that_are_named_beside_their_place_are_masked(line: str, stored: str) -> None:
    assert mask_line(line) == stored
    assert mask_line(stored) == stored
    assert bool(masked_places(stored)) == (line != stored)


def test_values_named_as_secrets_by_what_stands_beside_them_are_masked() -> None:
    params = {"env": [{"name": "DB_PASSWORD", "value": "abcd"}], "argv": ["--token", "abcd", "x"]}
    assert mask_value(params) == {
        "env": [{"name": "DB_PASSWORD", "value": MASKED}],
        "argv": ["--token", MASKED, "x"],
    }
    assert mask_text("no abcd here", params) == "no *** here"


NAMES = {"login": ("user", "password"), "unlock": ("token",)}
KNOWN = Known(lambda method: NAMES.get(method, ()), {"li": "login", "in": "login user=bob password="})


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ('login ["bob", "hunter2"]', 'login ["bob", "***"]'),
        ('login ["bob", "hunter2", "abcd"]', 'login ["bob", "***", "***"]'),
        ('login ["bob", $pw]', 'login ["bob", $pw]'),
        ('login ["bob" "hunter2"', 'login "***"'),
        ('login "bob" "hunter2"', 'login "***"'),
        ('unlock "hunter2"', 'unlock "***"'),
        ('unlock {"a": 1}', 'unlock "***"'),
        ('unlock {"token": "hunter2"}', 'unlock {"token": "***"}'),
        ('li ["bob", "hunter2"]', 'li ["bob", "***"]'),
        ('li ["bob", "hunter2"]\nping', 'li ["bob", "***"]\nping'),
        ("in hunter2", 'in"***"'),
        (':watch 2 login ["bob", "hunter2"]', ':watch 2 login ["bob", "***"]'),
        ('ping ["bob", "hunter2"]', 'ping ["bob", "hunter2"]'),
    ],
)
def test_secrets_by_the_names_of_their_places_are_masked(line: str, stored: str) -> None:
    assert mask_line(line, KNOWN) == stored
    assert mask_line(stored, KNOWN) == stored


@pytest.mark.parametrize(
    ("params", "named", "masked"),
    [
        (["bob", "hunter2"], {"user": "bob", "password": "hunter2"}, ["bob", "***"]),
        (["bob"], {"user": "bob"}, ["bob"]),
        ({"user": "bob", "password": "x"}, {"user": "bob", "password": "x"}, {"user": "bob", "password": "***"}),
        (["a", 1, 2], {"user": "a", "password": 1, "password 2": 2}, ["a", "***", "***"]),
        (None, None, None),
    ],
)
def test_params_go_by_the_names_of_their_places(params: object, named: object, masked: object) -> None:
    assert named_params(params, NAMES["login"]) == named
    assert mask_params(params, NAMES["login"]) == masked
    assert mask_params(params, ()) == mask_value(params)


def test_params_that_a_method_takes_whole_go_by_the_name_of_its_only_one() -> None:
    assert mask_params("hunter2", ("token",)) == mask_params({"a": 1}, ("token",)) == MASKED
    assert mask_params({"token": "x", "a": 1}, ("token",)) == {"token": MASKED, "a": 1}
    assert mask_params({"token": "x", "a": 1}, ("params",)) == {"token": MASKED, "a": 1}
    assert mask_params([1, "x"], ("params",)) == [1, "x"]


@pytest.mark.parametrize(
    ("line", "places"),
    [
        ('login user=bob password="***"', [25]),
        ("login password=***", [15]),
        ('login ["bob", "***"]', [15]),
        ('a {"pw": "***", "body": "{\\"pw\\": \\"***\\"}"}', [10, 36]),
        ('a url="https://***@host"', [15]),
        (':watch 2 login password="***"', [25]),
        ('a note="***" b="a***b"', []),
        ('login password="a***b"', []),
        ('ping # password="***"', []),
        ("ping", []),
    ],
)
def test_a_line_that_was_masked_tells_where(line: str, places: list[int]) -> None:
    assert masked_places(line, KNOWN) == places


@pytest.mark.parametrize(
    "key",
    [
        *(
            "password",
            "PASSWORD",
            "dbPassword",
            "access_token",
            "api-key",
            "X-Api-Key",
            "passwords",
            "tokens",
            "apiKeys",
        ),
        *("pass", "db_pass", "userPass", "dbpass", "pw", "user_pw", "jwt", "id_jwt", "jwts", "otp", "totp", "otp_code"),
        *("auth", "basicAuth", "session", "sessions", "session_id", "sessionId", "sessionid", "PHPSESSID", "token2"),
        *("cookies", "Set-Cookie", "auth.tokens", "passcode", "pin", "card_pin", "PINs", "cvv", "cardCvc", "ssn"),
        *("sid", "connect.sid", "sig", "Signature", "X-Amz-Signature", "X-Hub-Signature-256", "csrf", "x_xsrf"),
        *("accessToken", "pageAccessToken", "csrf-token", "resetToken", "nextRefreshToken", "id_tokens"),
    ],
)
def test_secret_keys(key: str) -> None:
    assert is_secret(key)


@pytest.mark.parametrize(
    "key",
    [
        *(
            "name",
            "max_tokens",
            "maxTokens",
            "key",
            "keyboard",
            "tokenizer",
            "",
            "_",
            "author",
            "authority",
            "passenger",
        ),
        *("compass", "bypass", "passed", "obsession", "session_timeout", "auth_type", "pass_count", "footprint", "2"),
        *("ping", "pinned", "spin", "pinCount", "pin_type"),
        *("side", "account_sid", "s_id", "design", "signatureHelp", "function_signature", "signature_type"),
        *("progressToken", "progress_token", "pageToken", "nextPageToken", "NextToken", "continuation-token"),
        *("cancellationToken", "workDoneToken", "partialResultToken", "nextSyncToken", "semanticTokens"),
    ],
)
def test_other_keys(key: str) -> None:
    assert not is_secret(key)
