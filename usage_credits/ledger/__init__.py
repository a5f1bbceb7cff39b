"""The only writer of the models: postings to wallets under their locks. Knows no Stripe and no catalogue."""
