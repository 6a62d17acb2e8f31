"""cofire.integrations"""
