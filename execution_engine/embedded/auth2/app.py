"""Auth2's HTTP methods, as many as KBase's services and their clients use."""

import logging

from flask import Flask, Response, jsonify, request
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException, NotAcceptable

from execution_engine.core import clock
from execution_engine.embedded.auth2 import answers, errors
from execution_engine.embedded.auth2.accounts import Accounts, Document, Token
from execution_engine.embedded.auth2.agent_tokens import agent_token_request
from execution_engine.embedded.auth2.user_names import check_user_names
from execution_engine.embedded.limits import MAX_BODY_BYTES

VERSION = "0.7.2"  # of the Auth2 whose protocol this is
CACHE_FOR_MS = 5 * 60 * 1000
ROLE_DESCRIPTIONS = {"Admin": "Administrator", "DevToken": "Create developer tokens"}
LEGACY_LOGIN = "/api/legacy/KBase/Sessions/Login"
LEGACY_LOGIN_GET = (
    "This GET method is just here for compatibility with the old java client and does nothing useful. "
    'Here\'s the compatibility part: "user_id": null'
)

_log = logging.getLogger(__name__)


def create_auth2_app(accounts: Accounts) -> Flask:
    """The WSGI app, to be mounted anywhere."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.strict_slashes = False  # a redirect would lose the token
    app.url_map.merge_slashes = False

    @app.before_request
    def negotiate() -> None:
        # Auth2 looks at Accept once it has found the method, and before anything else.
        if request.routing_exception is None and request.endpoint != "legacy_login_get" and not answers.takes_json():
            raise NotAcceptable

    @app.get("/")
    def root() -> Response:
        return jsonify(
            version=VERSION,
            gitcommithash="",
            servertime=clock.to_ms(clock.now()),
            servicename="Authentication Service",
        )

    _add_token_methods(app, accounts)
    _add_account_methods(app, accounts)
    _add_legacy_login(app, accounts)
    _handle_errors(app)
    return app


def _add_token_methods(app: Flask, accounts: Accounts) -> None:
    @app.get("/api/V2/token")
    def introspect() -> Response:
        return jsonify(_token_answer(_valid_token(accounts)))

    @app.post("/api/V2/token")
    def create_agent_token() -> Response:
        parent = _valid_token(accounts)
        if parent.type != "Login":
            raise errors.AuthError(errors.UNAUTHORIZED, f"{parent.type} tokens are not allowed for this operation")
        wanted = agent_token_request(request.get_data())
        secret, token = accounts.issue(parent.user, "Agent", name=wanted.name, custom=wanted.custom)
        return jsonify(_token_answer(token) | {"token": secret})


def _add_account_methods(app: Flask, accounts: Accounts) -> None:
    @app.get("/api/V2/me")
    def me() -> Response:
        return jsonify(_me_answer(_account(accounts, _valid_token(accounts).user)))

    @app.get("/api/V2/users")
    def users() -> Response:
        _valid_token(accounts)
        names = [name.strip() for name in request.args.get("list", "").split(",") if name.strip()]
        check_user_names(names)
        return jsonify(accounts.display_names(names))


def _add_legacy_login(app: Flask, accounts: Accounts) -> None:
    """The login of older clients: KBase's own Python servers still check tokens with it."""

    @app.post(LEGACY_LOGIN)
    def legacy_login() -> Response:
        secret = request.form.get("token", "").strip()
        if not secret:
            raise errors.AuthError(errors.MISSING_PARAMETER, "token")
        return jsonify(_login_answer(accounts, secret, request.form.get("fields", "").split(",")))

    @app.get(LEGACY_LOGIN)
    def legacy_login_get() -> Response:
        answer = Response(LEGACY_LOGIN_GET, 401)
        answer.headers["Content-Type"] = "text/html"
        return answer


def _handle_errors(app: Flask) -> None:
    @app.errorhandler(errors.AuthError)
    def refused(error: errors.AuthError) -> Response:
        return answers.refusal(error)

    @app.errorhandler(HTTPException)
    def not_reached(error: HTTPException) -> Response:
        return answers.framework_error(error.code or 500)

    @app.errorhandler(PyMongoError)
    def no_database(error: PyMongoError) -> Response:
        _log.error("Auth2 can't reach its database: %s", error)
        return answers.internal_error("The database can't be reached; try again later")

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        _log.exception("Auth2 failed at %s %s", request.method, request.path, exc_info=error)
        return answers.internal_error("Internal server error")


def _valid_token(accounts: Accounts) -> Token:
    """The token in the request's Authorization header, which holds it bare: a scheme would count as part of it."""
    secret = request.headers.get("Authorization", "").strip()
    if not secret:
        raise errors.AuthError(errors.NO_TOKEN, "No user token provided")
    return _known(accounts, secret)


def _known(accounts: Accounts, secret: str) -> Token:
    token = accounts.token(secret)
    if token is None:
        raise errors.AuthError(errors.INVALID_TOKEN)
    return token


def _account(accounts: Accounts, name: str) -> Document:
    """The account of a valid token; finding it disabled, Auth2 revokes all of its tokens."""
    user = accounts.user(name)
    if user is None:
        raise errors.AuthError(errors.INVALID_TOKEN)
    if user["disabled"]:
        accounts.remove_tokens(name)
        raise errors.AuthError(errors.DISABLED, name)
    return user


def _token_answer(token: Token) -> Document:
    return {
        "type": token.type,
        "id": token.id,
        "expires": token.expires,
        "created": token.created,
        "name": token.name,
        "user": token.user,
        "custom": token.custom,
        "cachefor": CACHE_FOR_MS,
    }


def _me_answer(user: Document) -> Document:
    return {
        "user": user["_id"],
        "display": user["display"],
        "email": user["email"],
        "created": user["created"],
        "lastlogin": user["last_login"],
        "local": True,
        "roles": [{"id": role, "desc": ROLE_DESCRIPTIONS[role]} for role in sorted(user["roles"])],
        "customroles": sorted(user["custom_roles"]),
        "policyids": [],
        "idents": [],
        "anonid": user["anonymous_id"],
    }


def _login_answer(accounts: Accounts, secret: str, fields: list[str]) -> Document:
    """What the legacy login answers; the account is looked at only when ``fields`` asks for something of it."""
    token = _known(accounts, secret)
    answer: Document = {"user_id": token.user}
    if "name" in fields or "email" in fields:
        user = _account(accounts, token.user)
        answer |= {key: user[of] for key, of in (("name", "display"), ("email", "email")) if key in fields}
    if "token" in fields:
        answer["token"] = secret
    return answer
