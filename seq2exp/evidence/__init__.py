"""Independent evidence for discovered elements: CRISPRi screens, reference regions, agreement.

Everything here reads what other modules wrote (masks, regions, window stores, tracks) and gives
tables; nothing is trained or predicted.
"""
