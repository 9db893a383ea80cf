"""Routes of an account's life: proof of its address, password, e-mail, second factor, its end."""

from __future__ import annotations

from fastapi import APIRouter, Response

from zentry.accounts.account_schemas import (
    AccountExport,
    EmailChange,
    FactorConfirmation,
    FactorEnrolment,
    FactorRemoval,
    LinkConfirmation,
    OwnerConfirmation,
    PasswordChange,
    PasswordForgotten,
    PasswordReset,
    Reauthentication,
    RecoveryCodes,
)
from zentry.accounts.dependencies import AccountsDep, ClientDep
from zentry.accounts.errors import (
    AccountInUse,
    EmailTaken,
    HashingBusy,
    InvalidLink,
    LastAdministrator,
    RateLimited,
    SecondFactorConflict,
    TooManyFailures,
    WeakPassword,
    WrongCode,
    WrongPassword,
)
from zentry.platform.errors import InvalidInput
from zentry.platform.web import CallerDep, JSONBytes, raises
from zentry.platform.wire import APIResponse

router = APIRouter(prefix="/auth", tags=["Authentication"])


_OWNER = raises(InvalidInput, WrongPassword, TooManyFailures, HashingBusy)


@router.post("/email/verification", summary="Send the link that confirms the own e-mail")
async def request_verification(caller: CallerDep, accounts: AccountsDep) -> APIResponse:
    """Send the link again, at most once a minute; nothing is sent where the address is confirmed already."""
    at = await accounts.request_verification(caller)
    return APIResponse(success=True, message="If the address is not confirmed yet, a mail is on its way", timestamp=at)


@router.post("/email/verify", summary="Confirm an e-mail", responses=raises(InvalidInput, InvalidLink))
async def verify_email(body: LinkConfirmation, accounts: AccountsDep) -> APIResponse:
    """Use the link of the mail. Where the welcome credit has waited for it, it is granted now.

    Whoever has the link may call this without an account's token. A link is good once.
    """
    at = await accounts.verify_email(body.token.get_secret_value())
    return APIResponse(success=True, message="The e-mail is confirmed", timestamp=at)


@router.put("/email", summary="Change the own e-mail", responses=_OWNER)
async def change_email(body: EmailChange, caller: CallerDep, accounts: AccountsDep, client: ClientDep) -> APIResponse:
    """Send a link to the new address; the e-mail changes when it is used, and the old address is told."""
    at = await accounts.request_email_change(
        caller, email=body.email, password=body.password.get_secret_value(), client=client
    )
    return APIResponse(success=True, message="If the address can be used, a mail is on its way to it", timestamp=at)


@router.post("/email/confirm", summary="Confirm a new e-mail", responses=raises(InvalidInput, InvalidLink, EmailTaken))
async def confirm_email_change(body: LinkConfirmation, accounts: AccountsDep) -> APIResponse:
    """Use the link that was sent to the new address. No token of the account is needed; the link is good once."""
    at = await accounts.confirm_email_change(body.token.get_secret_value())
    return APIResponse(success=True, message="The account has its new e-mail", timestamp=at)


@router.post("/password/forgot", summary="Ask for another password", responses=raises(InvalidInput, RateLimited))
async def request_password_reset(body: PasswordForgotten, accounts: AccountsDep, client: ClientDep) -> APIResponse:
    """Send a link to whoever has an account with this e-mail.

    The answer is the same whether there is one or not. Anyone may ask, within the rate limit of logins.
    """
    at = await accounts.request_reset(body.email, client=client)
    return APIResponse(
        success=True, message="If there is an account with this e-mail, a mail is on its way", timestamp=at
    )


@router.post(
    "/password/reset",
    summary="Choose another password",
    responses=raises(InvalidInput, InvalidLink, WeakPassword, RateLimited, HashingBusy),
)
async def reset_password(body: PasswordReset, accounts: AccountsDep, client: ClientDep) -> APIResponse:
    """Use the link of the mail. All sessions of the account end; log in with the new password.

    Whoever has the link may call this. A link is good once, for an hour.
    """
    at = await accounts.reset_password(
        body.token.get_secret_value(), password=body.new_password.get_secret_value(), client=client
    )
    return APIResponse(success=True, message="The password is changed", timestamp=at)


@router.put("/password", summary="Change the own password", responses={**_OWNER, **raises(WeakPassword, WrongPassword)})
async def change_password(
    body: PasswordChange, caller: CallerDep, accounts: AccountsDep, client: ClientDep
) -> APIResponse:
    """Exchange the password for another one. All other sessions end; the owner is told by mail."""
    at = await accounts.change_password(
        caller,
        current=body.current_password.get_secret_value(),
        new=body.new_password.get_secret_value(),
        client=client,
    )
    return APIResponse(success=True, message="The password is changed", timestamp=at)


@router.post("/reauthenticate", summary="Prove once more who you are", responses={**_OWNER, **raises(WrongCode)})
async def reauthenticate(
    body: Reauthentication, caller: CallerDep, accounts: AccountsDep, client: ClientDep
) -> APIResponse:
    """Show that you are at this session, with the password and the second factor where you have one.

    Acts that give power away ask for it when the login is more than a quarter of an hour ago; they answer 403 with
    `REAUTHENTICATION_REQUIRED`. The session and its tokens stay as they are.
    """
    at = await accounts.reauthenticate(caller, password=body.password.get_secret_value(), code=body.code, client=client)
    return APIResponse(success=True, message="It is you", timestamp=at)


@router.post("/second-factor", summary="Make a second factor", responses={**_OWNER, **raises(SecondFactorConflict)})
async def enrol_second_factor(
    body: OwnerConfirmation, caller: CallerDep, accounts: AccountsDep, client: ClientDep, response: Response
) -> FactorEnrolment:
    """Make the secret of an authenticator. It counts when a first code has confirmed it."""
    made = await accounts.enrol(caller, password=body.password.get_secret_value(), client=client)
    response.headers["Cache-Control"] = "no-store"
    return FactorEnrolment(secret=made.secret, uri=made.uri)


@router.post(
    "/second-factor/confirm",
    summary="Turn the second factor on",
    responses=raises(InvalidInput, WrongCode, SecondFactorConflict, TooManyFailures),
)
async def confirm_second_factor(
    body: FactorConfirmation, caller: CallerDep, accounts: AccountsDep, client: ClientDep, response: Response
) -> RecoveryCodes:
    """Show that the authenticator works; from then on a login asks for a code. The answer has the recovery codes."""
    codes = await accounts.confirm_factor(caller, code=body.code, client=client)
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodes(recovery_codes=codes)


@router.post("/second-factor/disable", summary="Turn the second factor off", responses={**_OWNER, **raises(WrongCode)})
async def disable_second_factor(
    body: FactorRemoval, caller: CallerDep, accounts: AccountsDep, client: ClientDep
) -> APIResponse:
    """Turn it off, with the password and a code or a recovery code."""
    at = await accounts.turn_factor_off(
        caller, password=body.password.get_secret_value(), code=body.code, client=client
    )
    return APIResponse(success=True, message="The second factor is off", timestamp=at)


@router.get("/account/export", summary="Take the own data away", response_model=AccountExport)
async def export_own_data(caller: CallerDep, accounts: AccountsDep) -> JSONBytes:
    """What is kept about your account: itself, sessions, tokens, keys, projects, machines, lines of the bill."""
    return JSONBytes(
        await accounts.export(caller), headers={"Content-Disposition": 'attachment; filename="zentry-account.json"'}
    )


@router.post("/account/deactivate", summary="Close the own account", responses={**_OWNER, **raises(LastAdministrator)})
async def deactivate_account(
    body: OwnerConfirmation, caller: CallerDep, accounts: AccountsDep, client: ClientDep
) -> APIResponse:
    """Close it, with all sessions; only the operator can open it again. Machines that run go on, and cost.

    You leave the projects of others. The last administrator stays.
    """
    at = await accounts.deactivate(caller, password=body.password.get_secret_value(), client=client)
    return APIResponse(success=True, message="The account is closed", timestamp=at)


@router.post(
    "/account/delete", summary="Delete the own account", responses={**_OWNER, **raises(AccountInUse, LastAdministrator)}
)
async def delete_account(
    body: OwnerConfirmation, caller: CallerDep, accounts: AccountsDep, client: ClientDep
) -> APIResponse:
    """Take everything personal off the account for good. Its lines in the books stay, without a name.

    Machines and projects have to be deleted before, or handed over; you leave the projects of others. What credit is
    left is lost. The last administrator stays.
    """
    at = await accounts.delete(caller, password=body.password.get_secret_value(), client=client)
    return APIResponse(success=True, message="The account is deleted", timestamp=at)
