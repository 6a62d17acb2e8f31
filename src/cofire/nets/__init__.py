"""cofire.nets"""
