"""cofire.stats"""
