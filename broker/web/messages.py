"""The sentences of sign-in, setup and device codes, in one place for pages and tests."""

ENTER_EMAIL = "Enter your email"
ENTER_PASSWORD = "Enter your password"
NOT_RIGHT = "Email or password is not right"
SIGNED_OUT = "You are signed out."
WERE_SIGNED_OUT = "You were signed out."
STILL_OPEN = "Your request is still open."

ENTER_CODE = "Enter the setup code"
CODE_NOT_RIGHT = "That setup code is not right. A restart prints a new one."
ENTER_AN_EMAIL = "Enter an email, like ana@example.com"
SETUP_FINISHED = "Setup is finished"

ENTER_DEVICE_CODE = "Enter the code shown on your device"
DEVICE_CODE_UNKNOWN = "We do not know that code. Check it, or get a new one on your device"
DEVICE_CODE_USED = "That code was already used"


def device_code_ended(lasts: str) -> str:
    """`lasts` a length such as 10 minutes."""
    return f"That code has ended. Codes last {lasts}. Get a new one on your device"


def too_many_tries(wait: str, until: str) -> str:
    """`wait` a length such as 5 minutes, `until` a time such as 14:20 UTC."""
    return f"Too many tries. Wait {wait}, until {until}"
