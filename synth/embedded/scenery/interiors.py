"""Indoor scenes: living room, office, gallery, corridor, library."""

from __future__ import annotations

import numpy as np

from synth.embedded.scenery import bitmaps, props, textures
from synth.embedded.scenery.raycast import Decal, Material, box
from synth.embedded.scenery.room import CLOTHS, WALLS, WOODS, Room, floor, outlook, wall_cover
from synth.embedded.scenery.textures import F32, Colour, pick, shade
from synth.embedded.scenery.world import Frame, World
from synth.gamma import to_display


def living_room(rng: np.random.Generator) -> World:
    """Sofa, rug, table, window with curtains, shelves, lamp, paintings."""
    wide, deep, tall = rng.uniform(4.6, 6.4), rng.uniform(5.2, 7.0), rng.uniform(2.5, 3.0)
    shift = rng.uniform(-0.7, 0.7)
    x0, x1, z0, z1 = -wide / 2 + shift, wide / 2 + shift, -0.8, deep
    colours = [pick(rng, CLOTHS) for _ in range(3)]
    rug = Material(textures.rug(rng, colours), (2.6, 1.9))
    rug_x, rug_z = float(rng.uniform(-0.4, 0.4) + shift), deep - float(rng.uniform(2.1, 2.6))

    def on_rug(x: F32, z: F32) -> F32:
        return ((np.abs(x - rug_x) < 1.3) & (np.abs(z - rug_z) < 0.95)).astype(np.float32)

    # The rug's picture starts at its own corner, not at the world's origin.
    rug = Material(_rolled(rug.texture, rug_x / 2.6 + 0.5, rug_z / 1.9 + 0.5), rug.size)
    yaw = float(rng.uniform(-0.3, 0.3))
    view = outlook(rng, float(rng.uniform(-0.5, 0.5)) - 1.2 * yaw, -0.3, yaw)
    room = Room(
        rng,
        "living-room",
        (x0, x1, z0, z1),
        tall,
        floor(rng, ("planks", "planks", "tiles")),
        wall_cover(rng, pick(rng, WALLS)),
        props.plain((0.90, 0.89, 0.87), 0.012),
        view,
        (Decal(on_rug, rug),) if rng.random() < 0.85 else (),
    )
    room.skirting((0.92, 0.91, 0.89))
    lit = float(rng.uniform(0.5, 1.1))
    side, other = ("left", "right") if rng.random() < 0.5 else ("right", "left")
    drape = Material(textures.fabric(rng, pick(rng, CLOTHS)), (0.4, 0.4))
    for along in (0.33 * deep, 0.72 * deep):
        room.window(side, float(along), float(rng.uniform(1.1, 1.5)), 0.75, tall - 0.4, drape, lit)
    cloth = Material(textures.fabric(rng, pick(rng, CLOTHS)), (0.5, 0.5))
    timber = props.wood(rng, pick(rng, WOODS))
    sofa_x = float(rug_x + rng.uniform(-0.3, 0.3))
    frame = room.frame("back", sofa_x, 0.55)
    seats = 3 if wide > 5.2 and rng.random() < 0.7 else 2
    parts = props.sofa(frame, cloth, timber, seats)
    for x in rng.uniform(-0.36 * seats, 0.36 * seats, int(rng.integers(1, 4))):
        second = pick(rng, CLOTHS)
        parts.append(
            props.cushion(
                frame, float(x), Material(textures.fabric(rng, second, shade(second, 1.5)), (0.4, 0.4))
            )
        )
    room.world.group(parts)
    room.world.group(
        props.table(Frame(rug_x, rug_z + 0.1, float(rng.normal(0, 0.05))), (1.05, 0.42, 0.6), timber, timber)
    )
    room.world.solids.append(
        box((rug_x - 0.15, 0.445, rug_z + 0.1), (0.26, 0.05, 0.2), props.plain(pick(rng, CLOTHS)), 0.4)
    )
    border = (0.12, 0.11, 0.10) if rng.random() < 0.5 else pick(rng, WOODS)
    if rng.random() < 0.6:
        room.hang("back", sofa_x, float(rng.uniform(0.9, 1.5)), float(rng.uniform(0.6, 0.9)), 1.62, border)
    else:
        for step in (-0.75, 0.0, 0.75):
            room.hang("back", sofa_x + step, 0.5, float(rng.uniform(0.5, 0.75)), 1.62, border)
    corner = x1 - 0.5 if side == "left" else x0 + 0.5
    if abs(corner - sofa_x) > 0.4 * seats + 0.5:
        room.world.group(props.floor_lamp(corner, z1 - 0.45, props.plain((0.15, 0.14, 0.13)), 1.6))
        room.lamp(corner, 1.4, z1 - 0.45, (0.4, 0.4), 3.0, (1.0, 0.78, 0.5))
    if rng.random() < 0.75:
        height = float(rng.uniform(1.6, 2.2))
        shelf = Material(bitmaps.books(rng, pick(rng, WOODS), 5), (1, 1))
        room.world.group(
            props.bookcase(
                room.frame(other, float(rng.uniform(0.45, 0.6)) * deep, 0.18),
                (1.5, height, 0.34),
                shelf,
                timber,
            )
        )
    else:
        room.door(other, float(0.5 * deep), (0.88, 0.87, 0.84))
        room.hang(other, float(0.5 * deep + 1.3), 0.6, 0.8, 1.6, border)
    turn = np.pi / 2 * (1 if other == "right" else -1)
    chair_x = rug_x + (1.75 if other == "right" else -1.75)
    if x0 + 0.9 < chair_x < x1 - 0.9 and rng.random() < 0.7:
        armchair = Material(textures.fabric(rng, pick(rng, CLOTHS)), (0.5, 0.5))
        room.world.group(
            props.sofa(Frame(chair_x, rug_z + 0.1, float(turn + rng.normal(0, 0.2))), armchair, timber, 1)
        )
    room.plant(x0 + 0.5 if side == "left" else x1 - 0.5, z1 - 0.5, float(rng.uniform(0.9, 1.6)))
    if rng.random() < 0.6:
        room.world.solids.extend(
            props.pendant(rug_x, rug_z, tall, float(rng.uniform(0.6, 0.8)), pick(rng, CLOTHS))
        )
        room.lamp(rug_x, tall - 0.8, rug_z, (0.5, 0.5), 2.2, (1.0, 0.85, 0.65))
    return room.finish(0.30, 3.4 if rng.random() < 0.65 else 0.0)


def _rolled(texture: textures.Texture, u: float, v: float) -> textures.Texture:
    """The tile moved so that its corner lies at u, v (fractions of a tile; v counts towards -z)."""
    base = texture.levels[0]
    height, width = base.shape[:2]
    moved = np.roll(base, (round((-v % 1) * height), round((u % 1) * width)), (0, 1))
    return textures.make_texture(to_display(moved))


def office(rng: np.random.Generator) -> World:
    """Rows of desks, ceiling grid with light panels, window band, white board."""
    wide, deep, tall = rng.uniform(6.5, 10), rng.uniform(9, 14), rng.uniform(2.6, 3.0)
    shift = rng.uniform(-1.2, 1.2)
    size = (-wide / 2 + shift, wide / 2 + shift, -1.0, deep)
    yaw = float(rng.uniform(-0.35, 0.35))
    view = outlook(rng, float(rng.uniform(-0.6, 0.6)), -0.4, yaw, 1.4, 1.8)
    grid = Material(
        textures.tiles(rng, (0.90, 0.90, 0.89), None, 4, 0.012, 0.6, (0.66, 0.66, 0.66)), (2.4, 2.4)
    )
    room = Room(
        rng,
        "office",
        size,
        tall,
        floor(rng, ("carpet", "carpet", "concrete", "planks")),
        Material(textures.mottled(rng, pick(rng, WALLS), 0.012, 0.02), (2.2, 2.2)),
        grid,
        view,
    )
    room.skirting((0.5, 0.5, 0.5), 0.08)
    x0, x1, _, _z1 = size
    strength = float(rng.uniform(1.4, 2.4))
    for z in np.arange(1.2, deep, 2.4):
        for x in np.arange(x0 + 1.4, x1 - 0.6, 2.4):
            room.panel(float(x), float(z), (1.15, 0.55), strength, lit=False)
    # Six large lamps stand for the many panels: the same light at a fraction of the shadow rays.
    for z in (deep / 6, deep / 2, deep * 5 / 6):
        for x in (x0 + wide / 4, x1 - wide / 4):
            room.lamp(float(x), tall - 0.05, float(z), (wide / 3, deep / 5), 0.28 * strength, (1, 0.97, 0.93))
    side, other = ("left", "right") if rng.random() < 0.5 else ("right", "left")
    for along in np.arange(1.0, deep - 1, 2.3):
        room.window(side, float(along), 1.9, 0.85, tall - 0.35, None, 0.55, lit=False)
    for along in (deep / 4, 3 * deep / 4):
        room.daylight(side, along, 0.4 * deep, 0.85, tall - 0.35, 0.5)
    metal, top = props.plain((0.55, 0.56, 0.57)), props.wood(rng, pick(rng, (*WOODS, (0.85, 0.84, 0.82))))
    cloth = Material(
        textures.fabric(
            rng, pick(rng, ((0.13, 0.13, 0.14), (0.2, 0.3, 0.45), (0.4, 0.15, 0.14), (0.25, 0.35, 0.3)))
        ),
        (0.3, 0.3),
    )
    screens = [
        props.plain((0.05, 0.05, 0.06)),
        *(Material(bitmaps.screen(rng), (0.56, 0.34), 0, 0.6) for _ in range(2)),
    ]
    gap = float(rng.uniform(2.0, 2.6))
    columns_x = list(np.arange(x0 + 1.3, x1 - 1.0, 1.75))
    aisle = int(rng.integers(len(columns_x)))
    turned = rng.random() < 0.5
    for z in np.arange(3.6, deep - 1.4, gap):
        for number, x in enumerate(columns_x):
            # One aisle stays free, and the odd desk is missing.
            if number == aisle or rng.random() < 0.12:
                continue
            frame = Frame(float(x), float(z), np.pi if turned else 0.0)
            room.world.group(props.desk(rng, frame, top, metal, screens[int(rng.integers(3))]))
            cx, cz = frame.at(float(rng.normal(0, 0.1)), -0.65)
            room.world.group(
                props.office_chair(Frame(cx, cz, frame.yaw + np.pi + float(rng.normal(0, 0.4))), cloth, metal)
            )
    board = Material(textures.mottled(rng, (0.94, 0.94, 0.95), 0.02, 0.004), (3, 3))
    frame = room.frame("back", float(rng.uniform(x0 + 2, x1 - 2)))
    room.world.solids.append(frame.box((0, 1.5, -0.02), (2.4, 1.2, 0.04), metal, {"front": board}))
    room.door("back", float(x0 + 0.9 if frame.x > (x0 + x1) / 2 else x1 - 0.9), pick(rng, WOODS), True)
    for along in np.arange(2.0, deep - 1.0, float(rng.uniform(2.2, 3.4))):
        if rng.random() < 0.5:
            pins = Material(bitmaps.notice(rng, (0.62, 0.48, 0.33)), (1.6, 1.0))
            room.world.solids.append(
                room.frame(other, float(along)).box(
                    (0, 1.55, -0.02), (1.6, 1.0, 0.04), metal, {"front": pins}
                )
            )
        else:
            shelf = Material(bitmaps.books(rng, (0.75, 0.74, 0.72), 5), (1, 1))
            room.world.group(
                props.bookcase(
                    room.frame(other, float(along), 0.2),
                    (1.2, 1.9, 0.38),
                    shelf,
                    props.plain((0.8, 0.79, 0.77)),
                )
            )
    for _ in range(2):
        room.plant(
            float(rng.choice([x0 + 0.5, x1 - 0.5])),
            float(rng.uniform(2.5, deep - 0.6)),
            float(rng.uniform(1.0, 1.6)),
        )
    return room.finish(0.38, 2.2 if rng.random() < 0.4 else 0.0)


def gallery(rng: np.random.Generator) -> World:
    """White cube: paintings, track lights, bench, a partition wall."""
    wide, deep, tall = rng.uniform(6.5, 10), rng.uniform(8, 13), rng.uniform(3.4, 4.5)
    shift = rng.uniform(-1, 1)
    size = (-wide / 2 + shift, wide / 2 + shift, -1.0, deep)
    yaw = float(rng.uniform(-0.4, 0.4))
    view = outlook(rng, float(rng.uniform(-0.8, 0.8)), -0.4, yaw, 1.4, 1.7)
    tone = pick(
        rng,
        ((0.90, 0.89, 0.87), (0.88, 0.88, 0.88), (0.50, 0.22, 0.20), (0.30, 0.40, 0.38), (0.36, 0.40, 0.50)),
    )
    wall = Material(textures.mottled(rng, tone, 0.014, 0.02), (2.2, 2.2))
    room = Room(
        rng,
        "gallery",
        size,
        tall,
        floor(rng, ("planks", "concrete", "terrazzo", "check")),
        wall,
        props.plain((0.86, 0.86, 0.85), 0.01),
        view,
    )
    x0, x1, _, z1 = size
    room.skirting(shade(tone, 0.9), 0.12)
    border: Colour = (0.55, 0.42, 0.20) if rng.random() < 0.5 else (0.10, 0.09, 0.09)
    for name, low, high in (("left", 0.6, z1 - 0.4), ("right", 0.6, z1 - 0.4), ("back", x0 + 0.5, x1 - 0.5)):
        along = low + float(rng.uniform(0.4, 0.9))
        while along < high - 0.6:
            width, height = float(rng.uniform(0.7, 1.9)), float(rng.uniform(0.8, 1.7))
            if along + width > high:
                break
            room.hang(name, along + width / 2, width, height, 1.6, border)
            label = room.frame(name, along + width + 0.22, 0.005)
            room.world.solids.append(
                label.box((0, 1.25, 0), (0.13, 0.09, 0.02), props.plain((0.95, 0.95, 0.93)), casts=False)
            )
            along += width + float(rng.uniform(0.7, 1.4))
    for x in (x0 + 1.3, x1 - 1.3):
        room.world.solids.append(
            box((x, tall - 0.12, deep / 2), (0.05, 0.05, deep), props.plain((0.1, 0.1, 0.1)), casts=False)
        )
        for z in np.arange(1.0, deep, 1.7):
            room.world.solids.extend(props.pendant(float(x), float(z), tall - 0.1, 0.3, (0.12, 0.12, 0.12)))
    strength = float(rng.uniform(2.0, 3.2))
    for z in np.linspace(1.2, deep - 1.2, 4):
        for x in (x0 + 1.3, x1 - 1.3):
            room.lamp(float(x), tall - 0.45, float(z), (0.9, 0.9), strength, (1.0, 0.93, 0.82))
    timber = props.wood(rng, pick(rng, WOODS))
    for z in np.arange(3.4, deep - 1.5, 3.2):
        frame = Frame(float(shift + rng.normal(0, 0.5)), float(z), float(rng.choice([0.0, np.pi / 2])))
        room.world.group(
            [
                frame.box((0, 0.42, 0), (1.7, 0.09, 0.5), timber),
                frame.box((0, 0.19, 0), (1.3, 0.38, 0.34), timber),
            ]
        )
    if rng.random() < 0.5:
        frame = Frame(float(rng.choice([x0 + 1.6, x1 - 1.6])), float(rng.uniform(0.55, 0.75)) * deep)
        room.world.group([frame.box((0, 1.5, 0), (2.6, 3.0, 0.25), wall)])
        room.world.solids.extend(
            props.framed(rng, Frame(frame.x, frame.z - 0.15), 1.5, 1.2, 1.6, props.plain(border))
        )
    return room.finish(0.36, 0.0)


def corridor(rng: np.random.Generator) -> World:
    """A long hallway: doors on both sides, repeating lights, shiny floor, an end window."""
    wide, deep, tall = rng.uniform(2.6, 4.2), rng.uniform(16, 28), rng.uniform(2.6, 3.1)
    shift = rng.uniform(-0.4, 0.4)
    size = (-wide / 2 + shift, wide / 2 + shift, -1.0, deep)
    yaw = float(rng.uniform(-0.16, 0.16))
    view = outlook(rng, 0.0, -0.5, yaw, 1.3, 1.7)
    tone = pick(rng, WALLS)
    wall = Material(textures.mottled(rng, tone, 0.02, 0.02), (2.2, 2.2))
    grid = Material(
        textures.tiles(rng, (0.88, 0.88, 0.87), None, 4, 0.012, 0.6, (0.62, 0.62, 0.62)), (2.4, 2.4)
    )
    room = Room(
        rng, "corridor", size, tall, floor(rng, ("tiles", "check", "terrazzo", "planks")), wall, grid, view
    )
    x0, x1, _, _z1 = size
    dado = Material(textures.tiles(rng, shade(tone, 0.72), None, 6, 0.006, 0.8), (1.2, 1.2))
    if rng.random() < 0.55:
        for x in (x0, x1):
            room.world.solids.append(box((x, 0.55, deep / 2), (0.03, 1.1, deep + 2), dado, casts=False))
            room.world.solids.append(
                box(
                    (x, 1.12, deep / 2),
                    (0.06, 0.05, deep + 2),
                    props.wood(rng, pick(rng, WOODS)),
                    casts=False,
                )
            )
    else:
        room.skirting(shade(tone, 0.6), 0.12)
    strength = float(rng.uniform(2.2, 3.4))
    for number, z in enumerate(np.arange(0.8, deep, 2.8)):
        lit = strength if rng.random() > 0.12 else 0.25
        if number < 8:
            room.panel(shift, float(z), (1.2, 0.3) if wide > 3 else (0.3, 1.2), lit)
    leaf = pick(rng, (*WOODS, (0.35, 0.48, 0.52), (0.80, 0.79, 0.75)))
    step = float(rng.uniform(2.6, 3.6))
    for name in ("left", "right"):
        for along in np.arange(1.2 + rng.uniform(0, 1.2), deep - 1, step):
            room.door(name, float(along), leaf, rng.random() < 0.4)
            middle = float(along + step / 2)
            choice = rng.random()
            if choice < 0.35:
                pins = Material(bitmaps.notice(rng, (0.55, 0.45, 0.33)), (1.3, 0.85))
                room.world.solids.append(
                    room.frame(name, middle).box(
                        (0, 1.55, -0.02), (1.3, 0.85, 0.05), props.plain((0.4, 0.3, 0.2)), {"front": pins}
                    )
                )
            elif choice < 0.6:
                room.hang(
                    name,
                    middle,
                    float(rng.uniform(0.5, 0.9)),
                    float(rng.uniform(0.5, 0.8)),
                    1.6,
                    (0.1, 0.1, 0.1),
                )
            elif choice < 0.8:
                frame = room.frame(name, middle, 0.24)
                room.world.group(
                    props.bench(frame, props.wood(rng, pick(rng, WOODS)), props.plain((0.2, 0.2, 0.2)), False)
                )
            elif choice < 0.9:
                room.plant(room.frame(name, middle, 0.4).x, middle, 1.2)
    if rng.random() < 0.6:
        room.window("back", shift, min(1.8, wide - 1.0), 0.8, tall - 0.4, None, 1.2)
    else:
        room.door("back", shift, leaf, True)
    return room.finish(0.30, 0.0)


def library(rng: np.random.Generator) -> World:
    """Aisles of book shelves, reading tables, tall windows at the end."""
    wide, deep, tall = rng.uniform(7, 10), rng.uniform(10, 15), rng.uniform(3.2, 4.2)
    shift = rng.uniform(-0.8, 0.8)
    size = (-wide / 2 + shift, wide / 2 + shift, -1.0, deep)
    yaw = float(rng.uniform(-0.3, 0.3))
    view = outlook(rng, float(rng.uniform(-0.5, 0.5)), -0.4, yaw, 1.4, 1.75)
    room = Room(
        rng,
        "library",
        size,
        tall,
        floor(rng, ("planks", "planks", "carpet", "check")),
        wall_cover(rng, pick(rng, WALLS)),
        props.plain((0.86, 0.85, 0.82), 0.012),
        view,
    )
    x0, x1, _, _z1 = size
    tone = pick(rng, WOODS)
    timber = props.wood(rng, tone)
    fronts = [Material(bitmaps.books(rng, tone, 6), (1, 1)) for _ in range(3)]
    height = float(rng.uniform(2.0, 2.5))
    for name in ("left", "right"):
        for along in np.arange(1.0, deep - 0.6, 1.62):
            case = room.frame(name, float(along), 0.18)
            room.world.group(props.bookcase(case, (1.6, height, 0.34), fronts[int(rng.integers(3))], timber))
    if rng.random() < 0.6:
        # Free-standing stacks, their ends to the viewer, in the far half.
        for x in np.arange(x0 + 1.9, x1 - 1.6, 2.1):
            if abs(x) < 0.5:
                continue
            for z in np.arange(0.5 * deep, deep - 2.0, 1.62):
                for turn in (-np.pi / 2, np.pi / 2):
                    frame = Frame(float(x - 0.16 * np.sign(turn)), float(z), turn)
                    room.world.group(
                        props.bookcase(frame, (1.6, height * 0.85, 0.3), fronts[int(rng.integers(3))], timber)
                    )
    for along in np.arange(x0 + 1.4, x1 - 1.0, 2.0):
        room.window("back", float(along), 1.2, 0.9, tall - 0.4, None, 0.9, lit=False)
    room.daylight("back", (x0 + x1) / 2, 0.6 * wide, 0.9, tall - 0.4, 0.8)
    seat = Material(textures.fabric(rng, pick(rng, CLOTHS)), (0.4, 0.4))
    table_x = float(rng.choice([x0 + 2.2, x1 - 2.2]))
    for z in np.arange(2.8, 0.5 * deep, 2.6):
        room.world.group(props.table(Frame(table_x, float(z)), (1.8, 0.75, 0.9), timber, timber))
        room.world.solids.append(
            box((table_x + 0.2, 0.78, float(z)), (0.3, 0.06, 0.22), props.plain(pick(rng, CLOTHS)), 0.5)
        )
        for x in (-0.45, 0.45):
            for side in (-1, 1):
                turn = 0.0 if side > 0 else np.pi
                room.world.group(
                    props.chair(
                        Frame(table_x + x, float(z + 0.62 * side), float(turn + rng.normal(0, 0.15))),
                        seat,
                        timber,
                    )
                )
    for z in np.linspace(1.5, deep - 1.5, 4):
        for x in (x0 + 0.28 * wide, x1 - 0.28 * wide):
            room.world.solids.extend(props.pendant(float(x), float(z), tall, 0.9, (0.15, 0.25, 0.2)))
            room.lamp(float(x), tall - 0.95, float(z), (0.6, 0.6), 3.0, (1.0, 0.86, 0.66))
    return room.finish(0.34, 2.6 if rng.random() < 0.5 else 0.0)
