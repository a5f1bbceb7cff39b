"""Optional integrations. Nothing else imports these; each needs what it integrates."""
