"""cofire.papers"""
