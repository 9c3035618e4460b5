"""Who a person is: users, passwords, sessions."""
