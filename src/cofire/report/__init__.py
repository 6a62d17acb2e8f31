"""cofire.report"""
