"""The graph that the recorded edges make: walked, measured, compared, exported and drawn.

Pure: edges come in, answers go out. Nothing here knows SQL, a disk or a clock, and nothing is imported before somebody asks for it.

    traverse    what a node is, and the walk up or down from it, level by level, over look-ups that somebody else provides
    algebra     the whole graph in memory: activities, closures, paths, roots, leaves, order; cutting foreign cycles
    export      networkx
    draw        what a picture shows: marks and lines (fold: fewer marks, layout: where, glyph: how wide names are)
    svg, text   the picture for a page, the tree for a terminal
"""
