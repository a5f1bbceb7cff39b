"""What people are shown of a wallet: rows by what they ask for, as CSV, over time, and what is to come."""
