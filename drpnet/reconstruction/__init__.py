"""From views and half maps to the quality of a reconstruction; pure functions, RELION's conventions.

Euler angles are rot, tilt, psi in degrees, intrinsic ZYZ. The matrix R of a particle takes its image's plane z = 0 into the
map, so the view from which it is seen is n = R (0, 0, 1) = (sin tilt cos rot, sin tilt sin rot, cos tilt), a unit vector
(x, y, z); psi turns the image in its plane. A symmetry operation S turns the view into S n. Maps are (z, y, x) arrays whose
centre is voxel box // 2.
"""
