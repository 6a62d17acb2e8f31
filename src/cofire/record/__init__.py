"""cofire.record"""
