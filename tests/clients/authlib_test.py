"""Gets tokens with Authlib, which compares no scopes, and checks the metadata with its schemas."""

import os
import unittest

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

client_id, secret, issuer, api = (os.environ[name] for name in ("CLIENT_ID", "CLIENT_SECRET", "ISSUER", "API"))
metadata = requests.get(issuer + "/.well-known/oauth-authorization-server").json()


class Authlib(unittest.TestCase):
    def test_a_partial_grant_and_the_door(self):
        for method in ("client_secret_basic", "client_secret_post"):
            self.assertIn(method, metadata["token_endpoint_auth_methods_supported"])
            session = OAuth2Session(client_id, secret, scope="book:*:read book:*:edit", token_endpoint_auth_method=method)
            token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
            self.assertEqual((token["scope"], token["rejected_scope"]), ("book:*:read", "book:*:edit"))
            self.assertEqual(session.get(api).status_code, 200)

    def test_introspection_and_revocation(self):
        session = OAuth2Session(client_id, secret)
        token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")["access_token"]
        introspect = lambda: session.introspect_token(metadata["introspection_endpoint"], token=token).json()["active"]
        self.assertTrue(introspect())
        self.assertEqual(session.revoke_token(metadata["revocation_endpoint"], token=token).status_code, 200)
        self.assertFalse(introspect())

    def test_the_metadata(self):
        """Authlib wants https, and a response type, of which the issuer supports none."""
        checked = AuthorizationServerMetadata({k: https(v) for k, v in metadata.items()})
        refused = []
        for member in checked.REGISTRY_KEYS:
            try:
                getattr(checked, "validate_" + member)()
            except ValueError as error:
                refused.append(str(error))
        self.assertEqual(refused, ['"response_types_supported" is required'])


def https(value):
    return value.replace("http://", "https://") if isinstance(value, str) else value


if __name__ == "__main__":
    unittest.main()
