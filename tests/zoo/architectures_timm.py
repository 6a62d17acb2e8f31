"""Families of timm, each by a small member."""

from functools import partial

from architectures import Architecture, images

# Members with the size of the images that they are given; a size with "!" is set in the model too.
MEMBERS = """
beitv2_base_patch16_224:64! byobnet_mobileone_s1:64 cait_xxs24_224:64! coat_lite_tiny:64! convit_tiny:64!
convmixer_768_32:64 test_convnext:64 crossvit_tiny_240:240 cs3darknet_focus_s:64 davit_tiny:64
deit_tiny_distilled_patch16_224:64! densenet121:64 dla46_c:64 dpn48b:64 edgenext_xx_small:64 efficientformer_l1:224
test_efficientnet:64 efficientvit_b0:64 eva02_tiny_patch14_224:56! fasternet_t0:64 fastvit_t8:64 focalnet_tiny_srf:64
gcvit_xxtiny:224 ghostnet_100:64 ghostnetv3_050:64 hgnet_tiny:64 hiera_tiny_224:224 hrnet_w18_small:64
inception_next_atto:64 levit_128s:224 levit_conv_128s:224 test_mambaout:64 test_coatnet:160 test_maxvit:160
poolformer_s12:64 gmlp_ti16_224:64! mixer_s32_224:64! mobilenetv3_small_050:64 mobilenetv4_conv_small:64
mobilevit_xxs:64 mobilevitv2_050:64 mvitv2_tiny:224 nest_tiny:224 nextvit_small:64 test_nfnet:64 pit_ti_224:224
pvt_v2_b0:64 regnetz_005:64 repghostnet_050:64 repvit_m0_9:64 res2net50_14w_8s:64 resnest14d:64 resnetv2_18:64
rexnet_100:64 selecsls42:64 legacy_seresnext26_32x4d:64 sequencer2d_s:64! skresnet18:64 starnet_s050:64
swiftformer_xs:224
swin_s3_tiny_224:224 swinv2_cr_tiny_224:224 tiny_vit_5m_224:224 tnt_s_patch16_224:64! tresnet_m:64
twins_svt_small:64 visformer_tiny:64! test_vit:64! test_vit_relpos:64! vitamin_small_224:64! volo_d1_224:224
ese_vovnet19b_slim:64 legacy_xception:96 xcit_nano_12_p16_224:64 shvit_s1:64
"""


def architectures():
    import timm

    found = []
    for member in MEMBERS.split():
        name, _, size = member.partition(":")
        name = name.removeprefix("byobnet_")
        extra = {"img_size": int(size[:-1])} if size.endswith("!") else {}
        build = partial(timm.create_model, name, pretrained=False, **extra)
        found.append(Architecture("timm", name, build, images(int(size.rstrip("!")))))
    return found
