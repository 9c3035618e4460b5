"""The sentences of sign-in and setup, in one place for pages and tests."""

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


def too_many_tries(wait: str, until: str) -> str:
    """`wait` a length such as 5 minutes, `until` a time such as 14:20 UTC."""
    return f"Too many tries. Wait {wait}, until {until}"
