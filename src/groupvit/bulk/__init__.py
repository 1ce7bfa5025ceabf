"""Segmentation of shards of images by one or many processes; every shard is done exactly once.

A shard of images gives one shard of masks with the same name, which appears whole or not at all. So
the same command can be repeated after any interruption: shards with a result are left alone.
"""
