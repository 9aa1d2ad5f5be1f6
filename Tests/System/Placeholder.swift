// system tests
