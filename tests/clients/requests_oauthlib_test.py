"""Gets tokens with requests-oauthlib, and holds docs/wire.md to what it says of it. The environment names the server."""

import os
import unittest

from oauthlib.oauth2 import BackendApplicationClient, InvalidScopeError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, on loopback
client_id, secret, token_url, api = (os.environ[name] for name in ("CLIENT_ID", "CLIENT_SECRET", "TOKEN_URL", "API"))


def session(scope=None):
    return OAuth2Session(client=BackendApplicationClient(client_id=client_id, scope=scope))


def fetch(session, **more):
    return session.fetch_token(token_url, client_id=client_id, client_secret=secret, **more)


class RequestsOAuthlib(unittest.TestCase):
    def tearDown(self):
        os.environ.pop("OAUTHLIB_RELAX_TOKEN_SCOPE", None)

    def test_the_token_opens_the_door(self):
        authorized = session("book:*:read")
        fetch(authorized)
        self.assertEqual(authorized.get(api).status_code, 200)

    def test_basic_and_post(self):
        for more in ({"auth": HTTPBasicAuth(client_id, secret)}, {"include_client_id": True}):
            self.assertEqual(fetch(session("book:*:read"), **more)["scope"], ["book:*:read"])

    def test_a_partial_grant_raises(self):
        with self.assertRaises(Warning) as raised:
            fetch(session("book:*:read book:*:edit"))
        self.assertRegex(str(raised.exception), "^Scope has changed from .* to \"book:\\*:read\"")

    def test_a_partial_grant_with_the_environment_variable(self):
        os.environ["OAUTHLIB_RELAX_TOKEN_SCOPE"] = "1"
        token = fetch(session("book:*:read book:*:edit"))
        self.assertEqual((token["scope"], token["rejected_scope"]), (["book:*:read"], "book:*:edit"))

    def test_a_partial_grant_for_a_scope_of_the_request_alone(self):
        token = fetch(session(), scope="book:*:read book:*:edit")
        self.assertEqual((token["scope"], token["rejected_scope"]), (["book:*:read"], "book:*:edit"))

    def test_the_default_scopes(self):
        token = fetch(session())
        self.assertEqual((token["scope"], token["rejected_scope"]), (["book:*:read"], ""))

    def test_nothing_granted(self):
        with self.assertRaises(InvalidScopeError):
            fetch(session("book:*:edit"))


if __name__ == "__main__":
    unittest.main()
